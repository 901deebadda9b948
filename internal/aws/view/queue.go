package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// A queue is one of the stack's, for people to look into. SQS lists nothing: messages are
// received and put back, so that somebody else who looks at the same moment may not see them.
type queue struct {
	holds string // what is in it, such as "dead letters"
	url   string // "" in a stack of an older version, which has none
	api   *sqs.Client
}

// hold is how long a message that is looked at is hidden from others, in seconds.
const hold = 20

// look returns all messages.
func (q queue) look(ctx context.Context) ([]types.Message, error) {
	all, err := q.receive(ctx)
	return all, errors.Join(err, q.putBack(ctx, all))
}

// take gives each message to do until that fails, deletes those that it takes, and
// returns how many.
func (q queue) take(ctx context.Context, do func(types.Message) (bool, error)) (taken int, err error) {
	all, err := q.receive(ctx)
	var kept []types.Message
	for _, m := range all {
		ok := false
		if err == nil {
			if ok, err = do(m); ok {
				_, err = q.api.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle})
				taken++
			}
			err = q.fault(err)
		}
		if !ok {
			kept = append(kept, m)
		}
	}
	return taken, errors.Join(err, q.putBack(ctx, kept))
}

// receive receives what there is, until nothing comes but what has come before: in a
// long queue the first messages are seen again when their time is over.
func (q queue) receive(ctx context.Context) (all []types.Message, err error) {
	if q.url == "" {
		return nil, refusal.New(fmt.Errorf("the stack has no queue for %s: it is of an older version of mayfly", q.holds), "mayfly deploy brings it up to date")
	}
	known := map[string]int{} // places in all, by the ids of messages
	for {
		out, err := q.api.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &q.url, MaxNumberOfMessages: 10, VisibilityTimeout: hold,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			return all, q.fault(err)
		}
		before := len(all)
		for _, m := range out.Messages {
			if i, ok := known[aws.ToString(m.MessageId)]; ok {
				all[i] = m // the newer receipt is the one that counts
				continue
			}
			known[aws.ToString(m.MessageId)] = len(all)
			all = append(all, m)
		}
		if len(all) == before {
			return all, nil
		}
	}
}

// putBack has messages seen by the next who looks.
func (q queue) putBack(ctx context.Context, all []types.Message) (faults error) {
	for batch := range slices.Chunk(all, 10) {
		in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url}
		for i, m := range batch {
			in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
			})
		}
		_, err := q.api.ChangeMessageVisibilityBatch(ctx, in)
		faults = errors.Join(faults, q.fault(err))
	}
	return faults
}

func (q queue) fault(err error) error {
	if err != nil {
		err = fmt.Errorf("%s in %s: %w", q.holds, q.url, err)
	}
	return err
}

// sent returns when a message was sent; zero if SQS does not say.
func sent(m types.Message) time.Time {
	at, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(at).UTC()
}
