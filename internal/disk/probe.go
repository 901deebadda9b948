package disk

import (
	"context"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// minFree is how much room a file system must have for what comes: the largest delivery, in the
// log and in the file.
const minFree = 64 << 20

// Probe writes, as all writes are made, and returns nil when what comes can be stored:
// [ErrFull] when there is little room, even if a small write has it still.
func (db *DB) Probe(ctx context.Context) error {
	err := db.Write(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(`CREATE TABLE IF NOT EXISTS probe (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER NOT NULL)`); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO probe (one, count) VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET count = count + 1`)
		return err
	})
	if err != nil {
		return err
	}
	free, err := freeOf(filepath.Dir(db.path))
	if err == nil && free < minFree {
		err = fmt.Errorf("%w: %d MiB are free at %s, want %d MiB", ErrFull, free>>20, filepath.Dir(db.path), minFree>>20)
	}
	return err
}

// freeOf returns how many bytes the file system of a folder has for us.
func freeOf(folder string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, fmt.Errorf("asking for free space at %s: %w", folder, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}
