package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/event/transform"
)

// A bridge is EventBridge with the rules of the template.
type bridge struct {
	*world
	rules []rule
	last  int // event; mu
}

// A rule is one with a pattern, and its one target.
type rule struct {
	id, bus   string
	pattern   *pattern.Pattern
	target    string // ARN
	transform *transform.Transformer
	retries   int
	age       time.Duration
	letters   string // id of the queue
	run       runTask
}

// openBridge reads the rules. Patterns and input transformers are Mayfly's own packages, which are held against AWS's
// documentation in their tests.
func openBridge(w *world) *bridge {
	b := &bridge{world: w}
	for _, id := range w.stack.Of("AWS::Events::Rule") {
		var r struct {
			EventBusName, State, ScheduleExpression string
			EventPattern                            json.RawMessage
			Targets                                 []struct {
				Arn              string
				InputTransformer *struct {
					InputPathsMap map[string]string
					InputTemplate string
				}
				RetryPolicy *struct {
					MaximumRetryAttempts, MaximumEventAgeInSeconds int
				}
				DeadLetterConfig struct{ Arn string }
				EcsParameters    runTask
			}
		}
		w.stack.Read(id, &r)
		if r.State != "ENABLED" {
			continue
		}
		for _, target := range r.Targets {
			one := rule{id: id, bus: r.EventBusName, target: target.Arn, retries: defaultRetries, age: defaultRetryAge, letters: resource(target.DeadLetterConfig.Arn), run: target.EcsParameters}
			if p := target.RetryPolicy; p != nil {
				one.retries, one.age = p.MaximumRetryAttempts, time.Duration(p.MaximumEventAgeInSeconds)*time.Second
			}
			var err error
			if i := target.InputTransformer; i != nil {
				one.transform, err = transform.Parse(i.InputPathsMap, i.InputTemplate)
			}
			if r.EventPattern == nil {
				b.schedule(one, r.ScheduleExpression)
				continue
			}
			if err == nil {
				one.pattern, err = pattern.Parse(r.EventPattern)
			}
			if err != nil {
				w.t.Fatalf("rule %s: %v", id, err)
			}
			b.rules = append(b.rules, one)
		}
	}
	return b
}

// schedule makes the events of a rule that has a rate.
func (b *bridge) schedule(r rule, expression string) {
	var n int
	var unit string
	if _, err := fmt.Sscanf(expression, "rate(%d %s", &n, &unit); err != nil || !strings.HasPrefix(unit, "minute") {
		return // hours: of the release function, which is not simulated
	}
	b.every(time.Duration(n)*time.Minute, func() {
		b.start(func() { b.deliver(r, b.event("aws.events", "Scheduled Event", time.Now(), nil, json.RawMessage("{}"))) })
	})
}

// serve is PutEvents.
func (b *bridge) serve(ctx context.Context, operation string, body []byte) (any, error) {
	var in struct {
		Entries []struct {
			EventBusName, Source, DetailType, Detail string
			Time                                     float64
			Resources                                []string
		}
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if operation != "PutEvents" || len(in.Entries) > 10 {
		return nil, &refusal{status: 400, code: "ValidationException", message: operation}
	}
	if err := b.takes(ctx, putEvents); err != nil {
		return nil, err
	}
	entries := []map[string]string{}
	for _, e := range in.Entries {
		event := b.event(e.Source, e.DetailType, time.UnixMicro(int64(e.Time*1e6)), e.Resources, json.RawMessage(e.Detail))
		b.put(e.EventBusName, event)
		entries = append(entries, map[string]string{"EventId": "e"})
	}
	b.mu.Lock()
	b.tally.events += len(entries)
	b.mu.Unlock()
	return map[string]any{"FailedEntryCount": 0, "Entries": entries}, nil
}

func (b *bridge) event(source, kind string, at time.Time, resources []string, detail json.RawMessage) []byte {
	b.mu.Lock()
	b.last++
	id := fmt.Sprintf("e-%d", b.last)
	b.mu.Unlock()
	if resources == nil {
		resources = []string{}
	}
	text, err := json.Marshal(map[string]any{
		"version": "0", "id": id, "source": source, "detail-type": kind, "account": awstest.Account, "region": awstest.Region,
		"time": at.UTC().Format(time.RFC3339), "resources": resources, "detail": detail,
	})
	if err != nil {
		b.fault("an event that is no JSON: %v", err)
	}
	return text
}

// put brings an event to the rules that it matches: to each at least once.
func (b *bridge) put(bus string, event []byte) {
	for _, r := range b.rules {
		if r.bus != bus || !r.pattern.Matches(event) {
			continue
		}
		times := 1
		if b.chance(bridgeDoubled) {
			times = 2
		}
		for range times {
			b.start(func() { b.deliver(r, event) })
		}
	}
}

// deliver brings an event to a target, and again while that is busy.
func (b *bridge) deliver(r rule, event []byte) {
	if b.takes(b.ctx, bridgeDelivery) != nil {
		return
	}
	input := event
	if r.transform != nil {
		var err error
		if input, err = r.transform.Apply(transform.Input{Event: event, Rule: r.id, Ingested: time.Now()}); err != nil {
			b.fault("rule %s: %v", r.id, err)
			return
		}
	}
	begun := time.Now()
	for try, pause := 0, retryFirstPause; ; try, pause = try+1, min(2*pause, retryMaxPause) {
		err := b.send(r, input)
		if err == nil || b.ctx.Err() != nil {
			return
		}
		refused := (*refusal)(nil)
		again := errors.As(err, &refused) && (refused.status >= 500 || refused.code == "ThrottlingException")
		wait := pause/2 + b.draw(span{0, pause / 2})
		if !again || try >= r.retries || time.Since(begun)+wait > r.age {
			b.giveUp(r, event, err)
			return
		}
		if b.sleep(b.ctx, wait) != nil {
			return
		}
	}
}

// send makes one attempt.
func (b *bridge) send(r rule, input []byte) error {
	id := resource(r.target)
	if f := b.lambda.functions[id]; f != nil {
		f.event(input)
		return nil
	}
	if q := b.queues[id]; q != nil {
		q.send(string(input), nil)
		return nil
	}
	switch {
	case strings.Contains(r.target, ":ecs:"):
		return b.ecs.run(r.run, input)
	case strings.Contains(r.target, ":logs:"):
		return nil
	}
	b.fault("rule %s: nobody here is its target %s", r.id, r.target)
	return nil
}

// giveUp sends an event to the rule's dead letters.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
func (b *bridge) giveUp(r rule, event []byte, err error) {
	b.mu.Lock()
	b.tally.letters++
	b.mu.Unlock()
	q := b.queues[r.letters]
	if q == nil {
		return // as AWS: it is gone, and a metric counts it
	}
	code := "UNKNOWN"
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		code = refused.code
	}
	q.send(string(event), map[string]string{"RULE_ARN": r.id, "TARGET_ARN": r.target, "ERROR_CODE": code, "ERROR_MESSAGE": err.Error()})
}
