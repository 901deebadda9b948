package bus_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// pages reads how many pages the file has, and how many of them are free.
func (w *world) pages() (count, free int64) {
	w.t.Helper()
	err := w.db.QueryRow(w.t.Context(), `SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count`).Scan(&count, &free)
	if err != nil {
		w.t.Fatal(err)
	}
	return count, free
}

// TestFileStaysSmall publishes twenty times what the log may keep. The file grows to what
// MaxSize says and a bit, and stays there: pages of what was taken off are used again.
func TestFileStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxSize, size, batch = 2_000_000, 7_000, 10 // 7 KB, as a workflow_job has
		w := newWorld(t)
		w.config.MaxSize = maxSize
		w.open()
		defer func() { w.stop() }()
		w.run()
		var early int64
		for published := 0; published < 20*maxSize; published += batch * size {
			w.publishLarge(published, batch, size)
			if published < 3*maxSize {
				early, _ = w.pages()
			}
		}
		count, free := w.pages()
		if info, err := os.Stat(w.path); err != nil || info.Size() > 2*maxSize || count > early*5/4 {
			t.Errorf("file of %d bytes, %v, %d pages, %d of them free; want at most %d bytes, and about the %d pages of the beginning",
				info.Size(), err, count, free, 2*maxSize, early)
		}
	})
}

// publishLarge publishes some events of that size at once, and has the log cleaned.
func (w *world) publishLarge(from, batch, size int) {
	w.t.Helper()
	err := w.db.Write(w.t.Context(), func(tx *disk.Tx) error {
		for i := range batch {
			e := job(fmt.Sprintf("%d-%d", from, i))
			e.Detail = fmt.Appendf(nil, `{"padding":%q}`, strings.Repeat("x", size))
			if _, err := w.bus.PublishTx(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// TestSizeGoesOn: what was published before a restart counts, when the newest event has lost its detail, too.
func TestSizeGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config.MaxSize = 1000
		w.open()
		w.run()
		w.publishLarge(1, 1, 5000) // is more than the log may have
		w.stop()
		w.open()
		w.run()
		defer func() { w.stop() }()
		w.publishLarge(2, 1, 500)
		all, err := bus.Events(t.Context(), w.db, eventlog.Filter{})
		if err != nil || len(all) != 2 || len(all[0].Event.Detail) == 0 || len(all[1].Event.Detail) != 0 {
			t.Errorf("%v, %v; want the detail of the newer event only", all, err)
		}
	})
}
