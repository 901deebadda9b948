package dynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A bench is a table and what stores of it share.
type bench struct {
	testing.TB
	cloud  *awstest.Cloud
	limits ledger.Limits
	client *dynamodb.Client

	mu   sync.Mutex
	now  time.Time       // guarded by mu
	sent []ledger.Effect // guarded by mu
}

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func newBench(t testing.TB) *bench {
	cloud := awstest.Start(t)
	small := pool.Pool{Name: "small", Labels: []string{"linux"}}.WithDefaults()
	return &bench{
		TB: t, cloud: cloud, limits: ledger.Limits{Pools: pool.Set{small}},
		client: makeTable(t, cloud, cloud.Config, "ledger"), now: start,
	}
}

// open returns another store of the table, as another Lambda has; edits change its
// configuration.
func (b *bench) open(edits ...func(*dynamo.Config)) *dynamo.Ledger {
	return b.with(b.client, edits...)
}

func (b *bench) with(client *dynamodb.Client, edits ...func(*dynamo.Config)) *dynamo.Ledger {
	c := dynamo.Config{
		Table: "ledger", Limits: b.limits, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.now
		},
		Emit: func(_ context.Context, effects []ledger.Effect) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.sent = append(b.sent, effects...)
			return nil
		},
	}
	for _, edit := range edits {
		edit(&c)
	}
	return dynamo.New(client, c)
}

func (b *bench) after(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// apply gives s an input.
func (b *bench) apply(s ledger.Store, in ledger.Input) ledger.Result {
	b.Helper()
	result, err := s.Apply(b.Context(), in)
	if err != nil {
		b.Fatalf("%T: %v", in, err)
	}
	return result
}

// wanted returns the runners that were asked for, sorted, and forgets them.
func (b *bench) wanted() (names []ledger.RunnerName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.sent {
		if want, ok := e.(ledger.WantRunner); ok {
			names = append(names, want.Runner)
		}
	}
	b.sent = nil
	slices.Sort(names)
	return names
}

// sound wants the state that a store reads anew to be sound.
func (b *bench) sound(now time.Time) *ledger.State {
	b.Helper()
	state, err := b.open().Snapshot(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if faults := state.Invariants(now); faults != nil {
		b.Errorf("invariants: %v", faults)
	}
	return state
}

func job(id int64, action string, edits ...func(*event.WorkflowJob)) ledger.JobSeen {
	w := event.WorkflowJob{
		Action: action, Repository: "acme/web", ID: id, Attempt: 1, Name: "build", Labels: []string{"linux"},
		Created: start.Add(time.Duration(id) * time.Millisecond),
	}
	for _, edit := range edits {
		edit(&w)
	}
	return ledger.JobSeen{Job: w, At: start}
}

func on(runner ledger.RunnerName) func(*event.WorkflowJob) {
	return func(w *event.WorkflowJob) { w.RunnerName = string(runner) }
}

// TestWritersAtOnce: eight stores, each with a memory of its own, see jobs and claim for
// all of them. Nothing is lost, and nothing is done twice.
func TestWritersAtOnce(t *testing.T) {
	const writers, each = 8, 2
	b := newBench(t)
	var wg sync.WaitGroup
	for w := range int64(writers) {
		s := b.open()
		wg.Go(func() {
			for i := range int64(each) {
				for range 2 { // every event comes twice
					if _, err := s.Apply(b.Context(), job(w*each+i+1, event.ActionQueued)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	names := b.wanted()
	if n := len(slices.Compact(slices.Clone(names))); n != writers*each || n != len(names) {
		t.Fatalf("%d runners wanted, %d names: want %d", len(names), n, writers*each)
	}
	granted := make(chan string, writers*len(names))
	for w := range writers {
		s := b.open()
		wg.Go(func() {
			for i := range names {
				name := names[(i+w)%len(names)]
				if result, err := s.Apply(b.Context(), ledger.Claim{Runner: name, Container: fmt.Sprint(w)}); err != nil {
					t.Error(err)
				} else if result.Granted {
					granted <- string(name)
				}
			}
		})
	}
	wg.Wait()
	close(granted)
	count := map[string]int{}
	for name := range granted {
		count[name]++
	}
	for _, name := range names {
		if count[string(name)] != 1 {
			t.Errorf("claims granted of runner %s: %d: want 1", name, count[string(name)])
		}
	}
	b.sound(start)
}

// TestDeathBeforeSending: what a process kept and did not send, the sweep sends: not at
// once, since it may be on its way.
func TestDeathBeforeSending(t *testing.T) {
	b := newBench(t)
	dying := b.open(func(c *dynamo.Config) {
		c.Emit = func(context.Context, []ledger.Effect) error { return errors.New("killed") }
	})
	b.apply(dying, job(1, event.ActionQueued))
	sweep := b.open()
	for _, step := range []struct {
		wait time.Duration
		want int
	}{{0, 0}, {20 * time.Second, 1}, {time.Minute, 0}} {
		b.after(step.wait)
		if err := sweep.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := b.wanted(); len(got) != step.want {
			t.Errorf("sent after another %s: %v: want %d effects", step.wait, got, step.want)
		}
	}
}

// TestLostToAnother: a store whose commit lost to another's has kept nothing. It sends its own effects when it has
// committed, and leaves those of the other, who is about to send them.
func TestLostToAnother(t *testing.T) {
	b := newBench(t)
	slow := b.open(func(c *dynamo.Config) {
		c.Emit = func(context.Context, []ledger.Effect) error { return errors.New("not yet") }
	})
	commits := 0
	s := b.with(dynamodb.NewFromConfig(onCommit(b.cloud.Config, func(commit func() error) error {
		if commits++; commits == 1 {
			b.apply(slow, job(2, event.ActionQueued))
		}
		return commit()
	})))
	own := b.apply(s, job(1, event.ActionQueued)).Effects[0].(ledger.WantRunner).Runner
	if got := b.wanted(); commits != 2 || !slices.Equal(got, []ledger.RunnerName{own}) {
		t.Errorf("%d commits, wanted %v: want two, and %s alone", commits, got, own)
	}
}

// TestRoomForManyAtOnce: a hundred jobs wait for a pool that then has room for all of
// them. No transaction takes so many, so they are admitted turn by turn.
func TestRoomForManyAtOnce(t *testing.T) {
	const many = 100
	b := newBench(t)
	b.limits.Pools[0].Max = 1
	b.seed(many)
	b.limits.Pools[0].Max = 2 * many
	s := b.open()
	turns := 0
	for more := true; more; turns++ {
		more = b.apply(s, ledger.Tick{}).More
	}
	if got := len(b.wanted()); got != many-1 {
		t.Errorf("%d runners wanted in %d turns: want %d", got, turns, many-1)
	}
	b.sound(start)
}

// seed has the table keep n queued jobs, in fewer writes than n inputs are: moto copies
// the whole table for each.
func (b *bench) seed(n int) {
	b.Helper()
	state := ledger.NewState("seeded", b.limits)
	for id := range int64(n) {
		state.Apply(job(id+1, event.ActionQueued), start)
	}
	s := b.open()
	for jobs := range slices.Chunk(slices.Collect(state.Jobs()), 90) {
		if err := s.Keep(b.Context(), ledger.Result{Jobs: jobs}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Keep(b.Context(), ledger.Result{Runners: slices.Collect(state.Runners())}); err != nil {
		b.Fatal(err)
	}
}

// TestCatchingUp: a store that slept reads what was written meanwhile, by the log or,
// where that has a gap, all.
func TestCatchingUp(t *testing.T) {
	for name, gap := range map[string]bool{"by the log": false, "a gap in the log": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			reads := 0 // of all that is open
			sleeper, writer := b.with(dynamodb.NewFromConfig(onQuery(b.cloud.Config, func(partition string) {
				if partition == "open" {
					reads++
				}
			}))), b.open()
			first := b.apply(sleeper, job(1, event.ActionQueued)).Effects[0].(ledger.WantRunner).Runner
			for id := range int64(3) {
				b.apply(writer, job(id+2, event.ActionQueued))
			}
			b.apply(writer, job(2, event.ActionCompleted))
			b.apply(writer, ledger.Gone{Runner: first, ExitCode: 1, Reason: "crash"})
			if gap {
				b.deleteLog(2)
			}
			if got := b.apply(sleeper, ledger.Claim{Runner: first}); got.Granted || got.Reason != fmt.Sprintf("runner %s is gone: crash (exit code 1)", first) {
				t.Errorf("claim: granted %t, %q: want what became of the runner meanwhile", got.Granted, got.Reason)
			}
			if want := map[bool]int{false: 1, true: 2}[gap]; reads != want {
				t.Errorf("all was read %d times: want %d", reads, want)
			}
			state, err := sleeper.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(portrait(b.sound(start)), portrait(state)); diff != "" {
				t.Errorf("the state (-read anew +caught up):\n%s", diff)
			}
		})
	}
}

// deleteLog removes an entry of the log, as its time to live does.
func (b *bench) deleteLog(version int) {
	b.Helper()
	key := dynamo.LogKey(uint64(version))
	if _, err := b.client.DeleteItem(b.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("ledger"), Key: key}); err != nil {
		b.Fatal(err)
	}
}

// portrait is all of a state, in one order.
func portrait(s *ledger.State) (lines []string) {
	for j := range s.Jobs() {
		lines = append(lines, asJSON(j))
	}
	for r := range s.Runners() {
		lines = append(lines, asJSON(r))
	}
	slices.Sort(lines)
	return lines
}

// TestNewPools: a job that fitted no pool gets its runner from the first sweep under
// limits that take it.
func TestNewPools(t *testing.T) {
	for _, label := range []string{"gpu", "ubuntu-latest"} {
		b := newBench(t)
		labelled := func(w *event.WorkflowJob) { w.Labels = []string{label} }
		b.apply(b.open(), job(1, event.ActionQueued, labelled))
		b.limits.Pools = append(b.limits.Pools, pool.Pool{Name: "large", Labels: []string{label}}.WithDefaults())
		b.apply(b.open(), ledger.Tick{})
		if got := b.wanted(); len(got) != 1 {
			t.Errorf("%s: wanted: %v: want one runner", label, got)
		}
		jobs, err := b.open().Jobs(t.Context(), ledger.JobQuery{})
		if err != nil || len(jobs) != 1 || jobs[0].State != ledger.JobQueued {
			t.Errorf("%s: jobs: %+v, %v: want the one, queued", label, jobs, err)
		}
	}
}

// TestFinishedOnesExpire: DynamoDB may delete what is finished a month later, and nothing
// that is open.
func TestFinishedOnesExpire(t *testing.T) {
	b := newBench(t)
	s := b.open()
	name := b.apply(s, job(1, event.ActionQueued)).Effects[0].(ledger.WantRunner).Runner
	b.apply(s, job(2, event.ActionQueued))
	b.apply(s, ledger.Claim{Runner: name})
	b.apply(s, job(1, event.ActionCompleted, on(name)))
	b.apply(s, ledger.Gone{Runner: name})
	out, err := b.client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("ledger")})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range out.Items {
		kind, finished, expires := dynamo.Inspect(it)
		if want := start.Add(ledger.DefaultKeep); kind != "" && finished != !expires.IsZero() || finished && !expires.Equal(want) {
			t.Errorf("%s, finished %t, expires %v: want %v for finished ones only", kind, finished, expires, want)
		}
	}
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // jobs and runners have a JSON form
	}
	return string(text)
}
