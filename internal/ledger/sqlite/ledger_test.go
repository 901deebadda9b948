package sqlite_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/clock"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func limits(max int) ledger.Limits {
	return ledger.Limits{Pools: pool.Set{pool.Pool{Name: "small", Labels: []string{"linux"}, Max: max}.WithDefaults()}}
}

func seen(id int64, action string) ledger.JobSeen {
	return ledger.JobSeen{Job: event.WorkflowJob{
		Action: action, Repository: "acme/web", Organization: "acme", ID: id, Attempt: 1,
		Name: "build", Workflow: "CI", URL: fmt.Sprintf("https://github.com/acme/web/actions/runs/1/job/%d", id),
		Labels: []string{"linux"}, Created: start,
	}}
}

func openDisk(t testing.TB) *disk.DB {
	t.Helper()
	db, err := disk.Open(filepath.Join(t.TempDir(), "mayfly.db"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// openLedger opens the ledger in db; its effects go to a table of their own.
func openLedger(t testing.TB, db *disk.DB, c sqlite.Config) *sqlite.Ledger {
	t.Helper()
	if err := db.Migrate(t.Context(), "test", []string{`CREATE TABLE effects (detail TEXT)`}); err != nil {
		t.Fatal(err)
	}
	if c.Emit == nil {
		c.Emit = func(tx *disk.Tx, effects []ledger.Effect) error {
			for _, e := range effects {
				detail, err := json.Marshal(e)
				if err != nil {
					return err
				}
				if _, err := tx.Exec(`INSERT INTO effects VALUES (?)`, string(detail)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	l, err := sqlite.Open(t.Context(), db, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func countRows(t testing.TB, db *disk.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestEffectsCommitWithChanges: what Emit writes is undone with the changes.
func TestEffectsCommitWithChanges(t *testing.T) {
	db := openDisk(t)
	broken := true
	l := openLedger(t, db, sqlite.Config{Limits: limits(0), Emit: func(tx *disk.Tx, effects []ledger.Effect) error {
		if _, err := tx.Exec(`INSERT INTO effects VALUES ('x')`); err != nil || !broken {
			return err
		}
		return errors.New("no bus")
	}})
	if _, err := l.Apply(t.Context(), seen(1, "queued")); err == nil {
		t.Fatal("no error")
	}
	if jobs, effects := countRows(t, db, "ledger_jobs"), countRows(t, db, "effects"); jobs != 0 || effects != 0 {
		t.Errorf("%d jobs and %d effects: want neither", jobs, effects)
	}
	broken = false
	if _, err := l.Apply(t.Context(), seen(1, "queued")); err != nil {
		t.Fatal(err)
	}
	if jobs, effects := countRows(t, db, "ledger_jobs"), countRows(t, db, "effects"); jobs != 1 || effects != 1 {
		t.Errorf("%d jobs and %d effects: want one of each", jobs, effects)
	}
}

// TestErrorLeavesNeighboursAlone: of inputs that share a transaction the first fails, and
// those after it find the state as if it had never been.
func TestErrorLeavesNeighboursAlone(t *testing.T) {
	db := openDisk(t)
	calls := 0 // of Emit, which runs in one goroutine
	l := openLedger(t, db, sqlite.Config{Limits: limits(0), Emit: func(*disk.Tx, []ledger.Effect) error {
		if calls++; calls == 1 {
			return errors.New("no bus")
		}
		return nil
	}})
	release, ready := make(chan struct{}), make(chan struct{}, 8)
	go func() {
		for range cap(ready) {
			<-ready
		}
		close(release)
	}()
	var wg sync.WaitGroup
	wg.Go(func() { // holds the transaction open until all are about to join it
		if err := db.Write(t.Context(), func(*disk.Tx) error { <-release; return nil }); err != nil {
			t.Error(err)
		}
	})
	failed := make(chan bool, cap(ready))
	for range cap(ready) {
		wg.Go(func() {
			ready <- struct{}{}
			_, err := l.Apply(t.Context(), seen(1, "queued"))
			failed <- err != nil
		})
	}
	wg.Wait()
	close(failed)
	n := 0
	for f := range failed {
		if f {
			n++
		}
	}
	if n != 1 || calls != 2 {
		t.Errorf("%d inputs failed and effects were passed on %d times: want 1 and 2", n, calls)
	}
	if jobs, runners := countRows(t, db, "ledger_jobs"), countRows(t, db, "ledger_runners"); jobs != 1 || runners != 1 {
		t.Errorf("%d jobs and %d runners: want one of each", jobs, runners)
	}
}

// TestInstance is chosen once.
func TestInstance(t *testing.T) {
	db := openDisk(t)
	first := openLedger(t, db, sqlite.Config{Limits: limits(0)}).Instance()
	if again := openLedger(t, db, sqlite.Config{Limits: limits(0), Instance: "other"}).Instance(); again != first || len(first) != 6 {
		t.Errorf("instance %q, then %q: want the same 6 characters", first, again)
	}
	if other := openLedger(t, openDisk(t), sqlite.Config{Limits: limits(0)}).Instance(); other == first {
		t.Errorf("two ledgers are both called %q", other)
	}
}

// TestPrune: what is settled goes after its time, what is open stays.
func TestPrune(t *testing.T) {
	db := openDisk(t)
	now := start
	l := openLedger(t, db, sqlite.Config{Limits: limits(1), Clock: clock.Of(func() time.Time { return now }), Keep: time.Hour})
	for _, in := range []ledger.Input{seen(1, "queued"), seen(1, "completed"), seen(2, "queued")} {
		if _, err := l.Apply(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		after         time.Duration
		jobs, runners int
	}{{59 * time.Minute, 2, 2}, {61 * time.Minute, 1, 1}} {
		now = start.Add(test.after)
		if _, err := l.Apply(t.Context(), ledger.Tick{}); err != nil {
			t.Fatal(err)
		}
		if jobs, runners := countRows(t, db, "ledger_jobs"), countRows(t, db, "ledger_runners"); jobs != test.jobs || runners != test.runners {
			t.Errorf("after %s: %d jobs and %d runners: want %d and %d", test.after, jobs, runners, test.jobs, test.runners)
		}
	}
}

// TestFileOfAnEarlierVersion: runners that were kept before their image was stay in the
// lists, and are of no image.
func TestFileOfAnEarlierVersion(t *testing.T) {
	db := openDisk(t)
	if err := db.Migrate(t.Context(), "ledger", sqlite.Schema[:sqlite.StepsBeforeImages]); err != nil {
		t.Fatal(err)
	}
	body := `{"runner": "i-small-1-1-1", "pool": "small", "made_for": "acme/web/1/1", "state": "gone", "reason": "exit code 1", "started": "2026-01-31T12:00:00Z"}`
	err := db.Write(t.Context(), func(tx *disk.Tx) error {
		_, err := tx.Exec(`INSERT INTO ledger_runners (name, live, job, changed, body) VALUES ('i-small-1-1-1', 0, 'acme/web/1/1', ?, ?)`, start.UnixMilli(), body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l := openLedger(t, db, sqlite.Config{Limits: limits(1), Clock: clock.Of(func() time.Time { return start })})
	runners, err := l.Runners(t.Context(), ledger.RunnerQuery{})
	if err != nil || len(runners) != 1 || runners[0].ExitCode != 0 || runners[0].Reason != "exit code 1" {
		t.Errorf("%+v, %v: want the runner that was kept", runners, err)
	}
	if _, known := runners[0].Outcome(); known {
		t.Errorf("%+v: want no image blamed", runners[0])
	}
}

// TestNewPoolsAfterOpening: a job that fitted no pool gets its runner when the
// ledger is opened with one that takes it.
func TestNewPoolsAfterOpening(t *testing.T) {
	for label, state := range map[string]ledger.JobState{"linux": ledger.JobUnroutable, "ubuntu-latest": ledger.JobHosted} {
		db := openDisk(t)
		in := seen(1, "queued")
		in.Job.Labels = []string{label}
		result, err := openLedger(t, db, sqlite.Config{}).Apply(t.Context(), in)
		if err != nil || result.Jobs[0].State != state || countRows(t, db, "effects") != 0 {
			t.Fatalf("%s: %+v, %v: want it %s, and no effect without a pool", label, result, err, state)
		}
		with := limits(0)
		with.Pools[0].Labels = []string{label}
		openLedger(t, db, sqlite.Config{Limits: with})
		if n := countRows(t, db, "effects"); n != 1 {
			t.Errorf("%s: %d effects: want one runner wanted", label, n)
		}
	}
}

// TestOpenOnFullDisk: limits that do not fit on the disk keep no ledger from being opened, since it is
// needed to remove what fills it. Readers get them when there is room.
func TestOpenOnFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mayfly.db")
	open := func(l ledger.Limits) (*sqlite.Ledger, *disk.DB, error) {
		db, err := disk.Open(path, disk.Options{MaxBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		kept, err := sqlite.Open(t.Context(), db, sqlite.Config{Limits: l, Emit: func(*disk.Tx, []ledger.Effect) error { return nil }})
		return kept, db, err
	}
	_, db, err := open(limits(1))
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	large := limits(2)
	large.Pools[0].Labels = append(large.Pools[0].Labels, strings.Repeat("x", 2<<20))
	l, db, err := open(large)
	if err != nil {
		t.Fatalf("%v: want it open on a full disk", err)
	}
	shown := func() int {
		state, err := sqlite.NewReader(db).Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return state.Limits().Pools[0].Max
	}
	if _, err := l.Apply(t.Context(), ledger.Tick{}); !errors.Is(err, disk.ErrFull) || shown() != 1 {
		t.Errorf("%v, a pool of %d: want %v, and the limits of before", err, shown(), disk.ErrFull)
	}
	if err := l.SetLimits(t.Context(), limits(3)); err != nil || shown() != 3 {
		t.Errorf("%v, a pool of %d: want those that were set", err, shown())
	}
}

// TestStatesAreIndexed: what metrics ask for does not read every job that is kept.
func TestStatesAreIndexed(t *testing.T) {
	db := openDisk(t)
	openLedger(t, db, sqlite.Config{})
	rows, err := db.Query(t.Context(), `EXPLAIN QUERY PLAN SELECT key, body FROM ledger_jobs WHERE state IN (?) ORDER BY seq DESC LIMIT ?`, "hosted", 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, step)
	}
	if len(plan) != 1 || !strings.Contains(plan[0], "ledger_jobs_state") {
		t.Errorf("plan %q: want the index of states alone", plan)
	}
}

// TestReader reads beside a ledger that is open.
func TestReader(t *testing.T) {
	folder := t.TempDir()
	db, err := disk.Open(filepath.Join(folder, "mayfly.db"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l := openLedger(t, db, sqlite.Config{Limits: limits(1), Instance: "i", Clock: clock.Of(func() time.Time { return start })})
	for id := range int64(2) {
		if _, err := l.Apply(t.Context(), seen(id+1, "queued")); err != nil {
			t.Fatal(err)
		}
	}
	beside, err := disk.OpenReader(filepath.Join(folder, "mayfly.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	r := sqlite.NewReader(beside)
	state, err := r.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := r.Jobs(t.Context(), ledger.JobQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var why []string
	for _, j := range jobs {
		why = append(why, state.Why(j, start.Add(time.Second)).Text)
	}
	want := []string{
		"pool small is full: 1 of 1",
		"runner i-small-1-1-1 was requested 1s ago and no launcher has started it yet",
	}
	if diff := cmp.Diff(want, why); diff != "" {
		t.Errorf("why (-want +got):\n%s", diff)
	}
}

// TestThousandAtOnce: 1,000 jobs that are queued at once, each told of twice, get
// one runner each.
func TestThousandAtOnce(t *testing.T) {
	db := openDisk(t)
	l := openLedger(t, db, sqlite.Config{Limits: limits(0)})
	each(t, 32, 2000, func(i int) error {
		_, err := l.Apply(t.Context(), seen(int64(i%1000+1), "queued"))
		return err
	})
	if jobs, runners, effects := countRows(t, db, "ledger_jobs"), countRows(t, db, "ledger_runners"), countRows(t, db, "effects"); jobs != 1000 || runners != 1000 || effects != 1000 {
		t.Errorf("%d jobs, %d runners, %d effects: want 1000 of each", jobs, runners, effects)
	}
	state, err := l.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if faults := state.Invariants(time.Now()); faults != nil {
		t.Errorf("after 1,000 jobs: %v", faults)
	}
}

// each runs f for 0 to n-1 from so many goroutines.
func each(t testing.TB, goroutines, n int, f func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < n; i += goroutines {
				if err := f(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkApply is a job queued and completed, while n others are queued, from 1 and from
// 32 goroutines; each input is durable before the next of its goroutine.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{0, 1000, 10_000} {
		for _, goroutines := range []int{1, 32} {
			b.Run(fmt.Sprintf("queued=%d/goroutines=%d", n, goroutines), func(b *testing.B) {
				l := openLedger(b, openDisk(b), sqlite.Config{Limits: limits(4)})
				each(b, 64, n, func(i int) error {
					_, err := l.Apply(b.Context(), seen(int64(i+1), "queued"))
					return err
				})
				b.ResetTimer()
				each(b, goroutines, b.N, func(i int) error {
					for _, action := range []string{"queued", "completed"} {
						if _, err := l.Apply(b.Context(), seen(int64(n+i+1), action)); err != nil {
							return err
						}
					}
					return nil
				})
			})
		}
	}
}

// TestSetLimits: other pools have the same effect while the ledger is open.
func TestSetLimits(t *testing.T) {
	db := openDisk(t)
	l := openLedger(t, db, sqlite.Config{Limits: limits(1)})
	for id := range int64(3) {
		if _, err := l.Apply(t.Context(), seen(id+1, "queued")); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ max, want int }{{1, 1}, {2, 2}, {0, 3}} {
		if err := l.SetLimits(t.Context(), limits(test.max)); err != nil {
			t.Fatal(err)
		}
		if n := countRows(t, db, "effects"); n != test.want {
			t.Errorf("%d runners wanted of a pool of %d: want %d", n, test.max, test.want)
		}
		if state, err := l.Snapshot(t.Context()); err != nil || state.Limits().Pools[0].Max != test.max {
			t.Errorf("a snapshot with other limits than %d, %v", test.max, err)
		}
	}
}
