package disk

import (
	"context"
	"errors"
	"fmt"
)

// The format of the file.
const (
	// With 8 KiB a delivery of 7 KB fits one page: no chains of pages, and less work than with 4
	// KiB.
	pageSize = 8 << 10

	// A file is compacted if so many of its bytes are free, and they are a third of it. Fewer are
	// soon used again.
	muchFree = 16 << 20
)

// form gives the file its format: pages of pageSize, and the write-ahead log. The page size is
// fixed with the first page, and in WAL mode for good
// (https://www.sqlite.org/pragma.html#pragma_page_size), so it comes first. A file with another
// page size or much free space is rewritten. VACUUM is a transaction, so a crash leaves the old
// file or the new one. Compacting is only an optimization: if there is no room for a copy, or
// somebody is reading, the file stays as it is until the next start.
func (w *writer) form(ctx context.Context) error {
	if err := w.pragmas(ctx, fmt.Sprintf("page_size = %d", pageSize)); err != nil {
		return err
	}
	compact, err := w.wantsCompacting(ctx)
	if err != nil {
		return err
	}
	if compact {
		_ = w.compact(ctx)
	}
	return w.pragmas(ctx, "journal_mode = wal")
}

func (w *writer) wantsCompacting(ctx context.Context) (bool, error) {
	var size, count, free int64
	err := errors.Join(w.ask(ctx, "page_size", &size), w.ask(ctx, "page_count", &count), w.ask(ctx, "freelist_count", &free))
	return count > 0 && (size != pageSize || free*size > muchFree && free > count/3), err
}

func (w *writer) compact(ctx context.Context) error {
	if err := w.pragmas(ctx, "journal_mode = delete", fmt.Sprintf("page_size = %d", pageSize)); err != nil {
		return err
	}
	_, err := w.conn.ExecContext(ctx, "VACUUM")
	return Explain(err)
}

func (w *writer) pragmas(ctx context.Context, all ...string) error {
	for _, p := range all {
		if _, err := w.conn.ExecContext(ctx, "PRAGMA "+p); err != nil {
			return Explain(err)
		}
	}
	return nil
}

// ask reads the value of a pragma.
func (w *writer) ask(ctx context.Context, pragma string, into *int64) error {
	return Explain(w.conn.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(into))
}

// limit bounds the file to max bytes, rounded down to whole pages.
func (w *writer) limit(ctx context.Context, max int64) error {
	if max == 0 {
		return nil
	}
	var size int64
	if err := w.ask(ctx, "page_size", &size); err != nil {
		return err
	}
	return w.pragmas(ctx, fmt.Sprintf("max_page_count = %d", max/size))
}
