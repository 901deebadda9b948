package simulation

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"
)

// A mapping is an event source mapping: it reads batches from a queue, and calls a function with them.
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
type mapping struct {
	*world
	queue    *queue
	function *lambdaFunction
	batch    int
	window   time.Duration
	most     int // batches at once
	partial  bool
}

func (l *lambdas) openMappings() {
	for _, id := range l.stack.Of("AWS::Lambda::EventSourceMapping") {
		var p struct {
			EventSourceArn, FunctionName   string
			BatchSize                      int
			MaximumBatchingWindowInSeconds int
			ScalingConfig                  struct{ MaximumConcurrency int }
			FunctionResponseTypes          []string
		}
		l.stack.Read(id, &p)
		m := &mapping{
			world: l.world, queue: l.queues[resource(p.EventSourceArn)], function: l.functions[resource(p.FunctionName)],
			batch: max(p.BatchSize, 1), window: time.Duration(p.MaximumBatchingWindowInSeconds) * time.Second, most: mostPollers,
			partial: slices.Contains(p.FunctionResponseTypes, "ReportBatchItemFailures"),
		}
		if p.ScalingConfig.MaximumConcurrency > 0 {
			m.most = p.ScalingConfig.MaximumConcurrency
		}
		if m.queue == nil || m.function == nil {
			l.t.Fatalf("%s: no such queue %q or function %q", id, p.EventSourceArn, p.FunctionName)
		}
		m.open()
	}
}

// open starts the first pollers, and more while there is a backlog.
func (m *mapping) open() {
	pollers := min(m.most, firstPollers)
	for range pollers {
		m.start(m.poll)
	}
	m.every(time.Minute, func() {
		more := min(m.most-pollers, morePollers, m.queue.backlog()/m.batch)
		for range more {
			m.start(m.poll)
		}
		pollers += max(more, 0)
	})
}

// poll reads and passes on batch after batch.
func (m *mapping) poll() {
	for m.ctx.Err() == nil {
		if list := m.read(); len(list) > 0 {
			m.pass(list)
		}
	}
}

// read gathers a batch: until it is full, or the window has ended since its first message.
func (m *mapping) read() (list []*message) {
	if !m.queue.wait(m.ctx, 20*time.Second) {
		return nil
	}
	bytes, begun := 0, time.Now()
	for len(list) < m.batch && bytes < batchBytes {
		some := m.queue.receive(min(receiveMost, m.batch-len(list)), 0)
		if m.takes(m.ctx, queueCall) != nil {
			return nil
		}
		for _, msg := range some {
			bytes += len(msg.body)
		}
		list = append(list, some...)
		left := m.window - time.Since(begun)
		if len(some) == 0 && (left <= 0 || !m.queue.wait(m.ctx, left)) {
			break
		}
	}
	return list
}

// pass calls the function with a batch, and deletes what it took.
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
func (m *mapping) pass(list []*message) {
	payload := m.event(list)
	out, err := m.function.invoke(payload)
	for pause := throttleFirstPause; errors.Is(err, errThrottled); pause *= 2 { // until the messages are visible again
		if pause > m.queue.visibility || m.sleep(m.ctx, pause) != nil {
			return
		}
		out, err = m.function.invoke(payload)
	}
	if err != nil {
		return
	}
	failed := map[string]bool{}
	if m.partial {
		var answer struct {
			BatchItemFailures []struct{ ItemIdentifier string }
		}
		if len(out) > 0 && json.Unmarshal(out, &answer) != nil {
			return // an answer of another form is a failure of all
		}
		for _, f := range answer.BatchItemFailures {
			failed[f.ItemIdentifier] = true
		}
	}
	m.mu.Lock()
	m.tally.batches++
	m.tally.batched += len(list)
	m.mu.Unlock()
	for _, msg := range list {
		if !failed[msg.id] {
			m.queue.remove(msg.handle)
		}
	}
}

// event is what the function is called with.
func (m *mapping) event(list []*message) []byte {
	records := []any{}
	for _, msg := range list {
		records = append(records, map[string]any{
			"messageId": msg.id, "receiptHandle": msg.handle, "body": msg.body, "eventSource": "aws:sqs", "eventSourceARN": m.queue.id + ".Arn",
			"awsRegion": "eu-west-1", "messageAttributes": map[string]any{}, "md5OfBody": "",
			"attributes": map[string]string{
				"ApproximateReceiveCount": strconv.Itoa(msg.receives), "SentTimestamp": strconv.FormatInt(msg.sent.UnixMilli(), 10),
				"ApproximateFirstReceiveTimestamp": strconv.FormatInt(msg.first.UnixMilli(), 10), "SenderId": "events",
			},
		})
	}
	text, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		m.fault("a batch that is no JSON: %v", err)
	}
	return text
}
