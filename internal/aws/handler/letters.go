package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// Letters is the stack's dead-letter queue: events that a rule could not deliver, and those that a
// function gave up. The sweep processes them.
type Letters struct {
	Client *sqs.Client
	Queue  string // URL
}

const (
	hold        = 2 * time.Minute  // a dead letter that fails stays invisible this long, so that a sweep sees each once
	lettersMost = 30 * time.Second // per sweep, for dead letters
	tries       = 10               // how often a dead letter is processed; then it stays, and an alarm reports it
)

// A deadLetter is an event that was not processed, and why.
type deadLetter struct {
	event.Event
	target string // ARN of a rule's target; "" if a function gave it up
	why    string
	tries  int // including this one
}

// errKeep means that a person has to look at the dead letter.
var errKeep = errors.New("kept for somebody to look at")

// returnLetters processes every dead letter in the queue once.
func (s *Sweep) returnLetters(ctx context.Context) error {
	var faults error
	for until := s.Now().Add(lettersMost); s.Now().Before(until); {
		out, err := s.Letters.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &s.Letters.Queue, MaxNumberOfMessages: 10, VisibilityTimeout: int32(hold / time.Second),
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount},
		})
		if err != nil {
			return errors.Join(faults, fmt.Errorf("receiving dead letters: %w", err))
		}
		if len(out.Messages) == 0 {
			break
		}
		for _, m := range out.Messages {
			faults = errors.Join(faults, s.returnLetter(ctx, m))
		}
	}
	return faults
}

// returnLetter processes one dead letter, and deletes it once its event has had its effect.
func (s *Sweep) returnLetter(ctx context.Context, m types.Message) error {
	l, err := read(m)
	if err == nil && l.tries > tries {
		err = errKeep
	}
	if err == nil {
		err = s.settle(ctx, l)
	}
	log := s.Log.With("event", l.ID, "type", l.DetailType, "target", l.target, "why", l.why, "tries", l.tries)
	switch {
	case errors.Is(err, errKeep):
		log.Error("dead letter", "err", err)
		return nil
	case err != nil:
		return fmt.Errorf("dead letter %s: %w", aws.ToString(m.MessageId), err)
	}
	log.Info("dead letter returned")
	_, err = s.Letters.Client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &s.Letters.Queue, ReceiptHandle: m.ReceiptHandle})
	return err
}

// read decodes a dead letter. Its body is the event; the reason is in attributes, which rules and
// functions name differently.
//
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html#eb-rule-dlq
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq
func read(m types.Message) (l deadLetter, err error) {
	attribute := func(names ...string) string {
		var parts []string
		for _, name := range names {
			if v := aws.ToString(m.MessageAttributes[name].StringValue); v != "" {
				parts = append(parts, v)
			}
		}
		return strings.Join(parts, ": ")
	}
	l.target = attribute("TARGET_ARN")
	l.why = attribute("ERROR_CODE", "ERROR_MESSAGE", "ErrorMessage")
	l.tries, _ = strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)]) // 0 if SQS does not say
	if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &l.Event); err != nil {
		return l, fmt.Errorf("%w: %w", errKeep, err)
	}
	return l, nil
}

// settle does what the event of l was for. If ECS did not start a task, the ledger is told, and
// makes another runner after a growing pause.
func (s *Sweep) settle(ctx context.Context, l deadLetter) error {
	switch {
	case strings.Contains(l.target, ":ecs:"):
		return s.notStarted(ctx, l)
	case slices.Contains(taken, l.DetailType):
		books := &Ledger{Pipeline: s.Pipeline, Tasks: s.Tasks, Publish: s.Publish, Now: s.Now, Log: s.Log}
		err := books.Handle(ctx, []event.Event{l.Event})[0]
		if errors.Is(err, pipeline.ErrNotProcessable) {
			err = fmt.Errorf("%w: %w", errKeep, err)
		}
		return err
	case l.DetailType == contract.TypeVersionRefused, l.DetailType == contract.TypeStartFailed:
		return s.Publish(ctx, l.Event)
	case l.DetailType == event.TypeRunnerUnwanted, l.DetailType == event.TypeJobUncertain, l.DetailType == contract.TypeScheduled,
		l.DetailType == contract.TypeRunwayUncertain, l.DetailType == contract.TypeRunwayKnown, l.DetailType == typePush:
		return nil // repeated by the ledger, the release function or the next minute
	}
	return errKeep
}

// notStarted reports to the ledger that a runner will get no task, unless it has one.
func (s *Sweep) notStarted(ctx context.Context, l deadLetter) error {
	want, err := pipeline.EffectOf[ledger.WantRunner](l.Event)
	if err != nil || want.Runner == "" {
		return errors.Join(errKeep, err)
	}
	list, err := s.Pipeline.Ledger.Runners(ctx, ledger.RunnerQuery{Name: want.Runner})
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	} else if err != nil || list[0].State != ledger.RunnerWanted {
		return err
	}
	return s.Pipeline.Gone(ctx, ledger.Gone{Runner: want.Runner, Reason: "not started: " + l.why, Outside: true, Unplaced: true})
}
