package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/bus/registry"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// A world is a bus and a discoverer on one file, which can be opened again.
type world struct {
	t      *testing.T
	path   string
	commit func(commit func() error) error
	log    bytes.Buffer

	db    *disk.DB
	bus   *bus.Bus
	close func() error
}

func newWorld(t *testing.T) *world { return &world{t: t, path: filepath.Join(t.TempDir(), "db")} }

// open opens the file and discovers until close is called.
func (w *world) open() {
	w.t.Helper()
	db, err := disk.Open(w.path, disk.Options{Commit: w.commit})
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
	ctx, stop := context.WithCancel(w.t.Context())
	if w.bus, err = bus.Open(ctx, db, bus.Config{Log: slog.New(slog.DiscardHandler)}); err != nil {
		w.t.Fatal(err)
	}
	d, err := registry.Open(ctx, db, slog.New(slog.NewTextHandler(&w.log, nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	w.close = func() error {
		stop()
		return errors.Join(<-ended, db.Close())
	}
}

func (w *world) publish(detail string) {
	w.t.Helper()
	e := event.Event{ID: fmt.Sprint("e", time.Now().UnixNano(), len(detail)), Source: "acme.shop", DetailType: "Order Placed", Time: time.Now(), Detail: []byte(detail)}
	if fresh, err := w.bus.Publish(w.t.Context(), e); err != nil || !fresh {
		w.t.Fatalf("Publish = %v, %v", fresh, err)
	}
	time.Sleep(2 * time.Second) // of the bubble's clock: more than the discoverer is idle
	synctest.Wait()
}

// versions lists the versions of each schema.
func (w *world) versions() map[string][]int {
	w.t.Helper()
	all, err := registry.Read(w.t.Context(), w.db)
	if err != nil {
		w.t.Fatal(err)
	}
	versions := map[string][]int{}
	for name, list := range all {
		for _, s := range list {
			versions[name] = append(versions[name], s.Version)
		}
	}
	return versions
}

func (w *world) want(versions ...int) {
	w.t.Helper()
	want := map[string][]int{}
	if len(versions) > 0 {
		want["acme.shop@OrderPlaced"] = versions
	}
	if diff := cmp.Diff(want, w.versions()); diff != "" {
		w.t.Errorf("versions (-want +got):\n%s", diff)
	}
}

func TestDiscovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open()
		w.want()
		w.publish(`{"n": 1}`)
		w.want(1)
		w.publish(`{"n": 2}`)
		w.want(1)
		w.publish(`{"n": 3, "note": "x"}`)
		w.want(1, 2)
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
		if log := w.log.String(); strings.Count(log, "schema discovered") != 1 || !strings.Contains(log, "detail.note: added, string") {
			t.Errorf("the log says:\n%s", log)
		}

		// What is known stays known, and what was published meanwhile is read later.
		w.open()
		w.publish(`{"n": 4}`)
		w.want(1, 2)
		w.publish(`{"n": "five"}`)
		w.want(1, 2, 3)
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestReadsWhatItMissed publishes without a discoverer, more than a batch.
func TestReadsWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		db, err := disk.Open(w.path, disk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if w.bus, err = bus.Open(t.Context(), db, bus.Config{Log: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
		w.db = db
		if err := registry.Migrated(t.Context(), db); !errors.Is(err, disk.ErrOlder) {
			t.Errorf("a database without tables of the registry: %v, want ErrOlder", err)
		}
		for i := range 35 {
			w.publish(fmt.Sprintf(`{"field%d": true}`, i))
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		w.open()
		time.Sleep(time.Minute)
		synctest.Wait()
		if versions := w.versions()["acme.shop@OrderPlaced"]; len(versions) != 35 {
			t.Errorf("%d versions of 35 events, each with another field", len(versions))
		}
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFaults fails each commit in turn, before and after it was stored, and goes on in
// this process or in another. In the end the schemas are what they would have been.
func TestFaults(t *testing.T) {
	errFault := errors.New("fault")
	details := []string{`{"n": 1}`, `{"n": 2, "a": "x"}`, `{"n": null}`}
	for _, stored := range []bool{false, true} {
		for at := 1; at <= 8; at++ {
			t.Run(fmt.Sprintf("stored=%v commit=%d", stored, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.open() // tables are made
					commits := 0
					if err := w.close(); err != nil {
						t.Fatal(err)
					}
					w.commit = func(commit func() error) error {
						if commits++; commits != at+4 { // after those of opening
							return commit()
						}
						if stored {
							return errors.Join(commit(), errFault)
						}
						return errFault
					}
					w.open()
					for i, detail := range details {
						e := event.Event{ID: fmt.Sprint(i), Source: "acme.shop", DetailType: "Order Placed", Time: time.Now(), Detail: []byte(detail)}
						for known := false; !known; {
							_, err := w.bus.Publish(t.Context(), e)
							known = err == nil
						}
						time.Sleep(2 * time.Second)
						synctest.Wait()
					}
					err := w.close()
					if err != nil && !errors.Is(err, errFault) {
						t.Fatal(err)
					}
					w.commit = nil
					w.open()
					time.Sleep(time.Minute)
					synctest.Wait()
					w.want(1, 2, 3)
					if err := w.close(); err != nil {
						t.Fatal(err)
					}
				})
			})
		}
	}
}

// TestBadRow has what cannot be read said with its name.
func TestBadRow(t *testing.T) {
	for body, want := range map[string]string{`{`: `schema "x"`, `{}`: "another one"} {
		w := newWorld(t)
		w.open()
		err := w.db.Write(t.Context(), func(tx *disk.Tx) error {
			_, err := tx.Exec(`INSERT INTO schemas (name, body) VALUES ('x', ?)`, []byte(body))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := registry.Read(t.Context(), w.db); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", body, err, want)
		}
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
	}
}
