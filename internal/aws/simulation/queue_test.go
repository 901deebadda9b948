package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// A queue is a standard one of SQS.
type queue struct {
	*world
	id         string // logical
	visibility time.Duration
	redrive    string // id of its dead-letter queue; "" for none
	most       int    // receives before that

	ready []*message          // that can be received; mu, as all below
	under map[string]*message // by handle, while it is hidden
	sent  int
	news  chan struct{} // holds one while there may be something ready
}

type message struct {
	id, handle string
	body       string
	attributes map[string]string
	sent       time.Time
	first      time.Time // when it was first received
	receives   int
}

func (w *world) openQueues() {
	for _, id := range w.stack.Of("AWS::SQS::Queue") {
		var p struct {
			VisibilityTimeout *int
			RedrivePolicy     struct {
				DeadLetterTargetArn string
				MaxReceiveCount     json.Number
			}
		}
		w.stack.Read(id, &p)
		q := &queue{world: w, id: id, visibility: 30 * time.Second, redrive: resource(p.RedrivePolicy.DeadLetterTargetArn), under: map[string]*message{}, news: make(chan struct{}, 1)}
		if p.VisibilityTimeout != nil {
			q.visibility = time.Duration(*p.VisibilityTimeout) * time.Second
		}
		q.most, _ = strconv.Atoi(string(p.RedrivePolicy.MaxReceiveCount))
		w.queues[id] = q
	}
}

// send puts a message into the queue.
func (q *queue) send(body string, attributes map[string]string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sent++
	q.tally.queued++
	q.ready = append(q.ready, &message{id: fmt.Sprintf("%s-%d", q.id, q.sent), body: body, attributes: attributes, sent: time.Now()})
	q.tell()
}

func (q *queue) tell() {
	select {
	case q.news <- struct{}{}:
	default:
	}
}

// wait waits until there may be something ready, and reports whether that is so.
func (q *queue) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		if q.backlog() > 0 {
			return true
		}
		select {
		case <-q.news:
		case <-timer.C:
			return q.backlog() > 0
		case <-ctx.Done():
			return false
		}
	}
}

func (q *queue) backlog() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ready)
}

// receive hides so many messages for a while, and returns them. A standard queue has them in nearly the order in which they came.
func (q *queue) receive(n int, hide time.Duration) (list []*message) {
	if hide == 0 {
		hide = q.visibility
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) > 0 && len(list) < n {
		msg := q.ready[0]
		q.ready = q.ready[1:]
		msg.receives++
		if msg.first.IsZero() {
			msg.first = time.Now()
		}
		if q.redrive != "" && msg.receives > q.most {
			msg.receives = 0
			q.tally.redriven++
			dead := q.queues[q.redrive]
			dead.ready = append(dead.ready, msg)
			dead.tell()
			continue
		}
		one := *msg
		one.handle = fmt.Sprintf("%s#%d", msg.id, msg.receives)
		q.under[one.handle] = msg
		list = append(list, &one)
		time.AfterFunc(hide, func() { q.show(one.handle) })
	}
	if len(q.ready) > 0 {
		q.tell() // another poller
	}
	return list
}

// show makes a message visible again that nobody has deleted.
func (q *queue) show(handle string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if msg := q.under[handle]; msg != nil {
		delete(q.under, handle)
		q.ready = append(q.ready, msg)
		q.tally.shownAgain++
		q.tell()
	}
}

// remove deletes a message; a queue of this kind may deliver it once more all the same.
func (q *queue) remove(handle string) {
	again := q.chance(queueDoubled)
	q.mu.Lock()
	defer q.mu.Unlock()
	msg := q.under[handle]
	delete(q.under, handle)
	if again && msg != nil {
		q.ready = append(q.ready, msg)
		q.tell()
	}
}

// serveQueues is SQS's API.
func (w *world) serveQueues(ctx context.Context, operation string, body []byte) (any, error) {
	var in struct {
		QueueUrl                                           string
		MaxNumberOfMessages, VisibilityTimeout             int
		WaitTimeSeconds                                    int
		MessageAttributeNames, MessageSystemAttributeNames []string
		AttributeNames                                     []string
		ReceiptHandle                                      string
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if err := w.takes(ctx, queueCall); err != nil {
		return nil, err
	}
	q := w.queues[in.QueueUrl]
	switch {
	case q == nil:
		return nil, &refusal{status: 400, code: "AWS.SimpleQueueService.NonExistentQueue", message: in.QueueUrl}
	case operation == "DeleteMessage":
		q.remove(in.ReceiptHandle)
		return map[string]any{}, nil
	case operation != "ReceiveMessage":
		return nil, &refusal{status: 400, code: "InvalidAction", message: operation}
	}
	list := []any{}
	for _, m := range q.receive(max(in.MaxNumberOfMessages, 1), time.Duration(in.VisibilityTimeout)*time.Second) {
		attributes := map[string]any{}
		for name, value := range m.attributes {
			attributes[name] = map[string]string{"DataType": "String", "StringValue": value}
		}
		list = append(list, map[string]any{
			"MessageId": m.id, "ReceiptHandle": m.handle, "Body": m.body, "MessageAttributes": attributes,
			"Attributes": map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.receives)},
		})
	}
	return map[string]any{"Messages": list}, nil
}
