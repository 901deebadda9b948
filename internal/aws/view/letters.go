package view

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mayfly-ci/mayfly/internal/bus"
)

// Letters are the dead letters in the stack's queue: events that a rule could not bring
// to their target, or that a function gave up. The sweep takes them from there once a
// minute, so most are not there for long.
type Letters struct {
	queue  string // URL
	bus    string // name
	sqs    *sqs.Client
	events *eventbridge.Client
}

// NewLetters returns those in queue, a URL, of the bus.
func NewLetters(c aws.Config, queue, bus string) *Letters {
	return &Letters{queue: queue, bus: bus, sqs: sqs.NewFromConfig(c), events: eventbridge.NewFromConfig(c)}
}

// hold is how long a letter that is looked at is hidden from others, in seconds.
const hold = 20

// A message is a letter in the queue.
type message struct {
	bus.DeadLetter
	receipt *string
}

// Letters returns the dead letters that pass f, the newest first, limit at most. SQS lists
// nothing: letters are received and put back, so that somebody else who looks at the same
// moment may not see them.
func (l *Letters) Letters(ctx context.Context, f bus.LetterFilter, limit int) (list []bus.DeadLetter, err error) {
	all, err := l.receive(ctx)
	for _, m := range all {
		if picked(f, m.DeadLetter) {
			list = append(list, m.DeadLetter)
		}
	}
	slices.SortFunc(list, func(a, b bus.DeadLetter) int { return b.Died.Compare(a.Died) })
	return list[:min(len(list), limit)], errors.Join(err, l.release(ctx, all))
}

// Retry puts the events of the letters that pass f on the bus again, where each rule that
// matches gets them, and returns how many. Letters of other buses, such as those of ECS, stay: nobody
// but AWS may put their events; the sweep takes them.
func (l *Letters) Retry(ctx context.Context, f bus.LetterFilter) (int, error) {
	return l.take(ctx, f, func(m message) (bool, error) {
		if strings.HasPrefix(m.Event.Source, "aws.") {
			return false, nil
		}
		out, err := l.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{{
			EventBusName: &l.bus, Source: &m.Event.Source, DetailType: &m.Event.DetailType, Detail: aws.String(string(m.Event.Detail)),
			Time: &m.Event.Time, Resources: m.Event.Resources,
		}}})
		if err == nil && out.FailedEntryCount > 0 {
			err = errors.New(aws.ToString(out.Entries[0].ErrorMessage))
		}
		return err == nil, err
	})
}

// Drop forgets the letters that pass f, and returns how many.
func (l *Letters) Drop(ctx context.Context, f bus.LetterFilter) (int, error) {
	return l.take(ctx, f, func(message) (bool, error) { return true, nil })
}

// take gives each letter that passes f to do, and deletes those that it takes.
func (l *Letters) take(ctx context.Context, f bus.LetterFilter, do func(message) (bool, error)) (taken int, err error) {
	all, err := l.receive(ctx)
	var kept []message
	for _, m := range all {
		ok := false
		if err == nil && picked(f, m.DeadLetter) {
			if ok, err = do(m); ok {
				_, err = l.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &l.queue, ReceiptHandle: m.receipt})
				taken++
			}
		}
		if !ok {
			kept = append(kept, m)
		}
	}
	if err != nil {
		err = fmt.Errorf("dead letters in %s: %w", l.queue, err)
	}
	return taken, errors.Join(err, l.release(ctx, kept))
}

func picked(f bus.LetterFilter, d bus.DeadLetter) bool {
	return (f.Events == nil || slices.Contains(f.Events, d.Event.ID)) && (f.Rule == "" || f.Rule == d.Rule)
}

// receive receives what there is.
func (l *Letters) receive(ctx context.Context) (all []message, err error) {
	for {
		out, err := l.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &l.queue, MaxNumberOfMessages: 10, VisibilityTimeout: hold,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			return all, fmt.Errorf("dead letters in %s: %w", l.queue, err)
		}
		for _, m := range out.Messages {
			all = append(all, message{letterOf(m), m.ReceiptHandle})
		}
		if len(out.Messages) == 0 {
			return all, nil
		}
	}
}

// letterOf reads a message. One whose body is no event is shown with what it is.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
func letterOf(m types.Message) (d bus.DeadLetter) {
	if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &d.Event); err != nil {
		d.Event.ID, d.Reason = aws.ToString(m.MessageId), err.Error()+"; "
	}
	attribute := func(names ...string) (value string) {
		for _, n := range names {
			value = cmp.Or(value, aws.ToString(m.MessageAttributes[n].StringValue))
		}
		return value
	}
	d.Rule = "function" // that gave up; its rule has done its part
	if rule := attribute("RULE_ARN"); rule != "" {
		d.Rule = path.Base(rule)
	}
	d.Reason += strings.Trim(attribute("ERROR_CODE", "ErrorCode")+": "+attribute("ERROR_MESSAGE", "ErrorMessage"), ": ")
	d.Attempts, _ = strconv.Atoi(attribute("RETRY_ATTEMPTS")) // absent where there was but one
	d.Attempts++
	if sent, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64); err == nil {
		d.Died = time.UnixMilli(sent).UTC()
	}
	d.Published = d.Event.Time
	return d
}

// release puts letters back, so that the next who looks sees them.
func (l *Letters) release(ctx context.Context, all []message) error {
	var faults error
	for batch := range slices.Chunk(all, 10) {
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &l.queue}
		for i, m := range batch {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.receipt, VisibilityTimeout: 0,
			})
		}
		if _, err := l.sqs.ChangeMessageVisibilityBatch(ctx, in); err != nil {
			faults = errors.Join(faults, fmt.Errorf("dead letters in %s: %w", l.queue, err))
		}
	}
	return faults
}
