package function

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// A Handler takes events: errs[i] is what became of list[i].
type Handler func(ctx context.Context, list []event.Event) (errs []error)

// Events returns what Lambda calls for a function that takes events: from a queue, in batches of messages that
// rules sent there, or one that a rule gives it by itself, such as a schedule. Of a batch, the events that failed
// stay in the queue, and so does a message that is no event: they are given again when they are visible again, and at
// last go to the queue's dead letters. The event source mapping has to ask for that, with ReportBatchItemFailures.
//
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func Events(handle Handler, log *slog.Logger) func(context.Context, json.RawMessage) (any, error) {
	return func(ctx context.Context, input json.RawMessage) (any, error) {
		var batch events.SQSEvent
		if err := json.Unmarshal(input, &batch); err == nil && batch.Records != nil {
			return handle.batch(ctx, batch, log)
		}
		var e event.Event
		if err := json.Unmarshal(input, &e); err != nil {
			return nil, fmt.Errorf("neither an event nor messages of a queue: %w", err)
		}
		errs := handle(ctx, []event.Event{e})
		return nil, errs[0]
	}
}

func (h Handler) batch(ctx context.Context, batch events.SQSEvent, log *slog.Logger) (failed events.SQSEventResponse, err error) {
	var list []event.Event
	var ids []string // of the messages of list
	fail := func(id string) {
		failed.BatchItemFailures = append(failed.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	for _, m := range batch.Records {
		var e event.Event
		if err := json.Unmarshal([]byte(m.Body), &e); err != nil {
			log.Error("message is no event", "message", m.MessageId, "err", err)
			fail(m.MessageId)
			continue
		}
		list, ids = append(list, e), append(ids, m.MessageId)
	}
	for i, err := range h(ctx, list) {
		if err != nil {
			fail(ids[i])
		}
	}
	return failed, nil
}
