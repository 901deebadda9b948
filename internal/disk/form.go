package disk

import (
	"context"
	"errors"
	"fmt"
)

// What the file is made of.
const (
	// pageSize lets a delivery of 7 KB fit one page: no chains of pages, and less of the processor than 4 KiB takes.
	pageSize = 8 << 10

	// A file is compacted when so many bytes of it are free, and a third of it. Less is
	// used again soon.
	muchFree = 16 << 20
)

// form brings the file into the form that is meant: pages of pageSize, and the write-ahead log.
// The size of pages is fixed with the first page, and in WAL mode for good
// (https://www.sqlite.org/pragma.html#pragma_page_size), so it comes first. A file of another
// size, or with much that is free, is written anew. A crash leaves the file as it was or as it
// is meant to be: VACUUM is a transaction. It is an optimisation: when there is no room for a copy, or
// somebody reads, the file stays as it is until the next start.
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
