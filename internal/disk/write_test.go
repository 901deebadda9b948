package disk_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

var errFault = errors.New("fault")

// TestFailedCommit fails a commit before it is stored, and after, and opens the
// file again: what was acknowledged is there, and a failed write only if it was stored.
func TestFailedCommit(t *testing.T) {
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored=%v", stored), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			fail := false
			db := open(t, path, disk.Options{Commit: func(commit func() error) error {
				if !fail {
					return commit()
				}
				if stored {
					return errors.Join(commit(), errFault)
				}
				return errFault
			}})
			var hooks []string
			write := func(k string) error {
				return db.Write(t.Context(), func(tx *disk.Tx) error {
					tx.OnCommit(func() { hooks = append(hooks, k) })
					return put(k, 0)(tx)
				})
			}
			first := write("a")
			fail = true
			second := write("b")
			fail = false
			third := write("c")
			if first != nil || !errors.Is(second, errFault) || third != nil {
				t.Errorf("Write = %v, %v, %v; want the second to fail", first, second, third)
			}
			if diff := cmp.Diff([]string{"a", "c"}, hooks); diff != "" {
				t.Errorf("hooks (-want +got):\n%s", diff)
			}
			db.Close()
			want := []string{"a", "c"}
			if stored {
				want = []string{"a", "b", "c"}
			}
			wantKeys(t, open(t, path, disk.Options{}), want...)
		})
	}
}

// together starts writes that are all queued before the first is run, so that
// they share one transaction, and returns their errors.
func together(db *disk.DB, writes []func(*disk.Tx) error) []error {
	hold := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = db.Write(context.Background(), func(*disk.Tx) error { <-hold; return nil })
	})
	errs := make([]error, len(writes))
	for i, f := range writes {
		synctest.Wait() // so that they queue up in this order
		all.Go(func() { errs[i] = db.Write(context.Background(), f) })
	}
	synctest.Wait()
	close(hold)
	all.Wait()
	return errs
}

func TestNeighboursShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		commits := 0
		db := open(t, filepath.Join(t.TempDir(), "db"), disk.Options{Commit: func(commit func() error) error {
			commits++
			return commit()
		}})
		commits = 0
		var hooks, want []string
		var writes []func(*disk.Tx) error
		for i := range 20 {
			k := fmt.Sprintf("%02d", i)
			writes = append(writes, func(tx *disk.Tx) error {
				tx.OnCommit(func() { hooks = append(hooks, k) })
				if err := put(k, 0)(tx); err != nil || i%3 != 0 {
					return err
				}
				return errFault
			})
			if i%3 != 0 {
				want = append(want, k)
			}
		}
		for i, err := range together(db, writes) {
			if errors.Is(err, errFault) != (i%3 == 0) {
				t.Errorf("write %d: %v; want every third to fail, and only those", i, err)
			}
		}
		if commits != 1 {
			t.Errorf("%d commits; want one", commits)
		}
		wantKeys(t, db, want...)
		if diff := cmp.Diff(want, hooks); diff != "" {
			t.Errorf("hooks (-want +got):\n%s", diff)
		}
		db.Close()
	})
}

// TestContext ends a context while its write waits: then it is not run. And while
// it is run: then its outcome is the answer.
func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "db"), disk.Options{})
		defer db.Close()
		running, cancelRunning := context.WithCancel(t.Context())
		waiting, cancelWaiting := context.WithCancel(t.Context())
		hold := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			err := db.Write(running, func(tx *disk.Tx) error { <-hold; return put("running", 0)(tx) })
			if err != nil {
				t.Errorf("Write that was running: %v; want its outcome", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if err := db.Write(waiting, put("waiting", 0)); !errors.Is(err, context.Canceled) {
				t.Errorf("Write that was waiting: %v; want context.Canceled", err)
			}
		})
		synctest.Wait()
		cancelRunning()
		cancelWaiting()
		synctest.Wait()
		close(hold)
		all.Wait()
		if err := db.Write(waiting, put("late", 0)); !errors.Is(err, context.Canceled) {
			t.Errorf("Write with a context that has ended: %v; want context.Canceled", err)
		}
		wantKeys(t, db, "running")
	})
}
