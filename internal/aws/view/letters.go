package view

import (
	"cmp"
	"context"
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// Letters are the dead letters in the stack's queue: events that a rule could not bring
// to their target, or that a function gave up. The sweep takes them from there once a
// minute, so most are not there for long.
type Letters struct {
	queue queue
	bus   *eventbus.Bus
}

// NewLetters returns those in queue, a URL, of the bus.
func NewLetters(c aws.Config, url string, bus *eventbus.Bus) *Letters {
	return &Letters{queue{"dead letters", url, sqs.NewFromConfig(c)}, bus}
}

// Letters returns the dead letters that pass f, the newest first, limit at most.
func (l *Letters) Letters(ctx context.Context, f eventlog.LetterFilter, limit int) (list []eventlog.DeadLetter, err error) {
	all, err := l.queue.look(ctx)
	for _, m := range all {
		if d := letterOf(m); picked(f, d) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b eventlog.DeadLetter) int { return b.Died.Compare(a.Died) })
	return list[:min(len(list), limit)], err
}

// Retry puts the events of the letters that pass f on the bus again, where each rule that
// matches gets them, and returns how many. Letters of other buses, such as those of ECS, stay: nobody
// but AWS may put their events; the sweep takes them.
func (l *Letters) Retry(ctx context.Context, f eventlog.LetterFilter) (int, error) {
	return l.take(ctx, f, func(d eventlog.DeadLetter) (bool, error) {
		if strings.HasPrefix(d.Event.Source, "aws.") {
			return false, nil
		}
		err := l.bus.Put(ctx, d.Event)
		return err == nil, err
	})
}

// Drop forgets the letters that pass f, and returns how many.
func (l *Letters) Drop(ctx context.Context, f eventlog.LetterFilter) (int, error) {
	return l.take(ctx, f, func(eventlog.DeadLetter) (bool, error) { return true, nil })
}

// take gives each letter that passes f to do, and deletes those that it takes.
func (l *Letters) take(ctx context.Context, f eventlog.LetterFilter, do func(eventlog.DeadLetter) (bool, error)) (int, error) {
	return l.queue.take(ctx, func(m types.Message) (bool, error) {
		d := letterOf(m)
		if !picked(f, d) {
			return false, nil
		}
		return do(d)
	})
}

func picked(f eventlog.LetterFilter, d eventlog.DeadLetter) bool {
	return (f.Events == nil || slices.Contains(f.Events, d.Event.ID)) && (f.Rule == "" || f.Rule == d.Rule)
}

// letterOf reads a message. One whose body is no event is shown with what it is.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
func letterOf(m types.Message) (d eventlog.DeadLetter) {
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
	d.Died, d.Published = sent(m), d.Event.Time
	return d
}
