package bus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// TestMigrate opens a database that the first version has left: what was pending is
// delivered, what was dead is retried, and all of it can be replayed.
func TestMigrate(t *testing.T) {
	db, err := disk.Open(filepath.Join(t.TempDir(), "db"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "bus", schema[:1]); err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(tx *disk.Tx) error {
		_, err := tx.Exec(`
			INSERT INTO events VALUES (1, 'a', 1000, 's', 't', 1000, '[]', '{}'), (2, 'b', 2000, 's', 't', 2000, '["x"]', '{}');
			INSERT INTO deliveries VALUES ('r', 0, 1, 0, '');
			INSERT INTO dead_letters VALUES (2, 'r', 3, 'no luck', 3000);`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pattern.Parse([]byte(`{"source": ["s"]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan event.Event)
	b, err := Open(t.Context(), db, Config{
		Rules: []Rule{{Name: "r", Pattern: p, Target: "got"}}, Log: slog.New(slog.DiscardHandler),
		Targets: map[string]Target{"got": func(_ context.Context, e event.Event) error { got <- e; return nil }},
		Now:     func() time.Time { return milli(4000) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	if e := <-got; e.ID != "a" || e.ReplayName != "" {
		t.Errorf("delivered %+v, want a", e)
	}
	if n, err := b.Retry(t.Context(), eventlog.LetterFilter{}); n != 1 || err != nil {
		t.Fatalf("Retry = %d, %v; want 1", n, err)
	}
	if e := <-got; e.ID != "b" {
		t.Errorf("retried %+v, want b", e)
	}
	if err := b.Replay(t.Context(), "again", eventlog.Selection{}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		if e := <-got; e.ID != id || e.ReplayName != "again" {
			t.Errorf("replayed %+v, want %s", e, id)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// TestMigrateFaults fails each commit that brings a database of the first version up to date, in each
// way, and opens it again: events have what they had.
func TestMigrateFaults(t *testing.T) {
	for _, stored := range []bool{false, true} {
		for fail, reached := 1, true; reached; fail++ {
			t.Run(fmt.Sprintf("commit %d, stored %v", fail, stored), func(t *testing.T) { reached = migrateWithFault(t, fail, stored) })
			if !reached && fail < len(schema) {
				t.Errorf("%d commits; want one for each step, or this tests nothing", fail)
			}
		}
	}
}

func migrateWithFault(t *testing.T, fail int, stored bool) (reached bool) {
	path := filepath.Join(t.TempDir(), "db")
	oldDatabase(t, path)
	commits, errFault := 0, errors.New("fault")
	try := func(commit func(func() error) error) (*disk.DB, error) {
		db, err := disk.Open(path, disk.Options{Commit: commit})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(t.Context(), db, Config{Log: slog.New(slog.DiscardHandler)})
		return db, err
	}
	db, err := try(func(commit func() error) error {
		switch commits++; {
		case commits != fail:
			return commit()
		case stored:
			return errors.Join(commit(), errFault)
		}
		return errFault
	})
	if reached = commits >= fail; reached != errors.Is(err, errFault) {
		t.Errorf("Open = %v after %d commits", err, commits)
	}
	db.Close()
	if db, err = try(nil); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, err := EventsAfter(t.Context(), db, 0, 10)
	if err != nil || len(all) != 3 {
		t.Fatalf("%v, %v; want 3 events", all, err)
	}
	for i, want := range []string{`{"n":1}`, ``, `{"n":3}`} {
		if got := string(all[i].Event.Detail); got != want {
			t.Errorf("event %d has detail %q; want %q", i+1, got, want)
		}
	}
	if end, err := logEnd(func(q string, a ...any) *sql.Row { return db.QueryRow(t.Context(), q, a...) }); err != nil || end != 7 {
		t.Errorf("the log ends at %d, %v; want 7", end, err)
	}
	return reached
}

// oldDatabase makes a database of the first version, with an event that has lost its detail.
func oldDatabase(t *testing.T, path string) {
	t.Helper()
	db, err := disk.Open(path, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Migrate(t.Context(), "bus", schema[:1])
	if err == nil {
		err = db.Write(t.Context(), func(tx *disk.Tx) error {
			_, err := tx.Exec(`INSERT INTO events VALUES (1, 'a', 1000, 's', 't', 1000, '[]', CAST('{"n":1}' AS BLOB)),
				(2, 'b', 2000, 's', 't', 2000, '[]', x''), (3, 'c', 3000, 's', 't', 3000, '[]', CAST('{"n":3}' AS BLOB));`)
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}
