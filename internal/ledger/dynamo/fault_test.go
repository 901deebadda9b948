package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
)

// life is a job's, told to s. What fails is told again, as events are.
func (b *bench) life(s *dynamo.Ledger) (failures int) {
	b.Helper()
	tell := func(in ledger.Input) (result ledger.Result) {
		b.Helper()
		for range 3 {
			var err error
			if result, err = s.Apply(b.Context(), in); err == nil {
				return result
			}
			failures++
		}
		b.Fatalf("%T fails for good", in)
		return result
	}
	tell(job(1, event.ActionQueued))
	list, err := b.open().Runners(b.Context(), ledger.RunnerQuery{})
	if err != nil || len(list) != 1 {
		b.Fatalf("runners %v, %v: want one", list, err)
	}
	name := list[0].Name
	tell(ledger.Starting{Runner: name})
	tell(ledger.Claim{Runner: name, Container: "a"})
	tell(ledger.Registered{Runner: name, GitHubID: 7})
	tell(job(1, event.ActionInProgress, on(name)))
	tell(job(1, event.ActionCompleted, on(name)))
	tell(ledger.Gone{Runner: name, Container: "a"})
	tell(job(1, event.ActionQueued)) // late
	return failures
}

// TestEveryCallFailing fails each kind of call once, at each place where it is made, in both ways:
// not carried out, and carried out but reported failed. The end is as if nothing had been.
func TestEveryCallFailing(t *testing.T) {
	b := newBench(t)
	for operation, most := range map[string]int{"GetItem": 7, "Query": 1, "BatchGetItem": 2, "TransactWriteItems": 7, "DeleteItem": 1} {
		for at := range most {
			if testing.Short() && at%3 > 0 {
				continue
			}
			for _, done := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/carried out %t", operation, at, done), func(t *testing.T) {
					b.TB = t
					b.emptied()
					b.fail(operation, at, done)
				})
			}
		}
	}
}

// fail lives a life with one call failing.
func (b *bench) fail(operation string, at int, done bool) {
	calls := 0
	sdk := with(b.cloud.Config, operation, func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, md middleware.Metadata, err error) {
		calls++
		fault := calls == at+1
		if !fault || done {
			out, md, err = next.HandleInitialize(ctx, in)
		}
		if fault {
			err = errors.New("fault")
		}
		return out, md, err
	})
	s := b.with(dynamodb.NewFromConfig(sdk))
	failures := b.life(s)
	if calls <= at {
		b.Fatalf("%d calls: want more than %d", calls, at)
	}
	if want := 1; failures > want || failures == 0 && operation != "DeleteItem" {
		b.Errorf("%d inputs failed: want %d", failures, want)
	}
	if err := s.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	if names := b.wanted(); len(names) == 0 || names[0] != names[len(names)-1] {
		b.Errorf("wanted: %v: want the one runner, at least once", names)
	}
	b.isOver()
}

// isOver wants the one job and its runner finished, and nothing else to be left.
func (b *bench) isOver() {
	b.Helper()
	b.sound(start)
	out, err := b.client.Scan(b.Context(), &dynamodb.ScanInput{TableName: aws.String("ledger")})
	if err != nil {
		b.Fatal(err)
	}
	var got []string
	for _, it := range out.Items {
		if part, kind := dynamo.Partition(it), ""; part != "log" {
			kind, _, _ = dynamo.Inspect(it)
			got = append(got, strings.TrimSpace(kind+" "+strings.Split(part, "#")[0]))
		}
	}
	if diff := cmp.Diff(map[string]int{"open": 1, "job job": 1, "runner runner": 1}, count(got)); diff != "" {
		b.Errorf("items (-want +got):\n%s", diff)
	}
	jobs, err := b.open().Jobs(b.Context(), ledger.JobQuery{})
	if err != nil || len(jobs) != 1 || jobs[0].State != ledger.JobCompleted || jobs[0].Runners != 1 {
		b.Errorf("jobs %+v, %v: want one, completed, with one runner", jobs, err)
	}
}

func count(list []string) map[string]int {
	n := map[string]int{}
	for _, s := range list {
		n[s]++
	}
	return n
}

// emptied makes the table anew.
func (b *bench) emptied() {
	b.Helper()
	if _, err := b.client.DeleteTable(b.Context(), &dynamodb.DeleteTableInput{TableName: aws.String("ledger")}); err != nil {
		b.Fatal(err)
	}
	makeTable(b.TB, b.cloud, b.cloud.Config, "ledger")
	b.wanted()
}

// TestTooLarge: what no item can hold is refused with a reason, and nothing of it is kept;
// so is more than one transaction takes.
func TestTooLarge(t *testing.T) {
	b := newBench(t)
	s := b.open()
	_, err := s.Apply(t.Context(), job(1, event.ActionQueued, func(w *event.WorkflowJob) { w.Name = strings.Repeat("x", 500_000) }))
	if err == nil || !strings.Contains(err.Error(), "size") {
		t.Errorf("a job of 500 kB: %v: want an error that says so", err)
	}
	for id := range int64(40) {
		b.apply(s, job(id+1, event.ActionQueued))
	}
	b.after(time.Hour)
	var running []ledger.RunnerName
	for _, name := range b.wanted() {
		b.apply(s, ledger.Started{Runner: name})
		running = append(running, name)
	}
	if _, err := s.Apply(t.Context(), ledger.Found{}); err == nil || !strings.Contains(err.Error(), "want at most 100") {
		t.Errorf("%d runners gone at once: %v: want an error that says how many may be", len(running), err)
	}
	if state := b.sound(start); len(portrait(state)) != 80 {
		t.Errorf("%d open jobs and runners: want all 80", len(portrait(state)))
	}
}

// TestHalfATransaction: a query that gives one half of what a transaction wrote and not the
// other, as DynamoDB's may, is not taken for the state.
func TestHalfATransaction(t *testing.T) {
	b := newBench(t)
	for id := range int64(2) {
		b.apply(b.open(), job(id+1, event.ActionQueued))
	}
	b.wanted()
	halves := 2
	s := b.with(dynamodb.NewFromConfig(with(b.cloud.Config, "Query", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, md, err := next.HandleInitialize(ctx, in)
		if items := out.Result.(*dynamodb.QueryOutput); err == nil && halves > 0 {
			halves--
			items.Items = items.Items[:len(items.Items)-1] // a runner that is not to be seen yet
		}
		return out, md, err
	})))
	b.apply(s, ledger.Tick{}) // which would want another runner
	if got := b.wanted(); len(got) > 0 || halves > 0 {
		t.Errorf("wanted: %v, halves that were not read: %d: want none", got, halves)
	}
}
