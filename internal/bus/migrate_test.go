package bus

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
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
	if n, err := b.Retry(t.Context(), LetterFilter{}); n != 1 || err != nil {
		t.Fatalf("Retry = %d, %v; want 1", n, err)
	}
	if e := <-got; e.ID != "b" {
		t.Errorf("retried %+v, want b", e)
	}
	if err := b.Replay(t.Context(), "again", Selection{}); err != nil {
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
