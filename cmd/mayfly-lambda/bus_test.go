package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/event/transform"
)

// An eventBridge stands for EventBridge: PutEvents over its protocol, and the rules of
// the template as they are deployed. Patterns and input transformers are Mayfly's own
// packages, whose semantics are AWS's, without escaping; each is held against AWS's
// documentation in its own tests. It retries nothing and has no dead letters.
type eventBridge struct {
	t     testing.TB
	rules []rule
	send  map[string]func(context.Context, target) // by a target's ARN
	work  sync.WaitGroup                           // of all that events set going
	last  atomic.Int64

	mu   sync.Mutex
	seen []json.RawMessage // every event, as rules see it
}

// A rule is one of the template, compiled.
type rule struct {
	id, bus   string
	pattern   *pattern.Pattern
	arn       string // of its target
	transform *transform.Transformer
	family    string // of the task definition that it runs, for a cluster
}

// A target is what an event becomes for the target of a rule.
type target struct {
	rule  rule
	input []byte
}

// newEventBridge compiles the rules of d that have a pattern.
func newEventBridge(d *awstest.Deployed) *eventBridge {
	b := &eventBridge{t: d.TB, send: map[string]func(context.Context, target){}}
	for _, id := range d.Of("AWS::Events::Rule") {
		var r struct {
			EventBusName, State string
			EventPattern        json.RawMessage
			Targets             []struct {
				Arn              string
				InputTransformer *struct {
					InputPathsMap map[string]string
					InputTemplate string
				}
				EcsParameters struct{ TaskDefinitionArn string }
			}
		}
		d.Read(id, &r)
		if r.EventPattern == nil || r.State != "ENABLED" {
			continue // a schedule
		}
		compiled, err := pattern.Parse(r.EventPattern)
		if err != nil || len(r.Targets) != 1 {
			d.TB.Fatalf("rule %s: %d targets, %v", id, len(r.Targets), err)
		}
		own := rule{id: id, bus: r.EventBusName, pattern: compiled, arn: r.Targets[0].Arn}
		if i := r.Targets[0].InputTransformer; i != nil {
			if own.transform, err = transform.Parse(i.InputPathsMap, i.InputTemplate); err != nil {
				d.TB.Fatalf("rule %s: %v", id, err)
			}
		}
		own.family = r.Targets[0].EcsParameters.TaskDefinitionArn
		own.family = own.family[strings.LastIndex(own.family, "/")+1:]
		b.rules = append(b.rules, own)
	}
	return b
}

// ServeHTTP is PutEvents, the one operation that functions call.
func (b *eventBridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Entries []struct {
			EventBusName, Source, DetailType, Detail string
			Time                                     float64
			Resources                                []string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" {
		b.t.Errorf("call of EventBridge: %s, %v: want PutEvents only", r.Header.Get("X-Amz-Target"), err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	entries := []map[string]string{}
	for _, e := range in.Entries {
		at := time.UnixMicro(int64(e.Time * 1e6))
		id := b.put(e.EventBusName, e.Source, e.DetailType, at, e.Resources, json.RawMessage(e.Detail))
		entries = append(entries, map[string]string{"EventId": id})
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(map[string]any{"FailedEntryCount": 0, "Entries": entries})
}

// put takes an event and returns its id. What it sets going goes on by itself.
func (b *eventBridge) put(bus, source, kind string, at time.Time, resources []string, detail json.RawMessage) string {
	id := fmt.Sprintf("e-%d", b.last.Add(1))
	if resources == nil {
		resources = []string{}
	}
	event, err := json.Marshal(map[string]any{
		"version": "0", "id": id, "source": source, "detail-type": kind, "account": awstest.Account, "region": awstest.Region,
		"time": at.UTC().Format(time.RFC3339), "resources": resources, "detail": detail,
	})
	if err != nil {
		b.t.Errorf("an event that is no JSON: %v", err)
		return id
	}
	b.mu.Lock()
	b.seen = append(b.seen, event)
	b.mu.Unlock()
	for _, to := range b.match(bus, event) {
		if send, ok := b.send[to.rule.arn]; ok { // not the log of events, and the release function
			b.work.Go(func() { send(context.Background(), to) })
		}
	}
	return id
}

// match returns what an event becomes for the targets of the rules that it matches.
func (b *eventBridge) match(bus string, event json.RawMessage) (list []target) {
	for _, r := range b.rules {
		if r.bus != bus || !r.pattern.Matches(event) {
			continue
		}
		input := []byte(event)
		if r.transform != nil {
			var err error
			if input, err = r.transform.Apply(transform.Input{Event: event, Rule: r.id, Ingested: time.Now()}); err != nil {
				b.t.Errorf("rule %s: %v", r.id, err)
				continue
			}
		}
		list = append(list, target{r, input})
	}
	return list
}

// events returns those that came, of one kind.
func (b *eventBridge) events(kind string) (list []json.RawMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.seen {
		var head struct {
			Kind string `json:"detail-type"`
		}
		if json.Unmarshal(e, &head) == nil && head.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}
