package disk

import (
	"context"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// minFree is how much space must be free: enough for the largest delivery, in the log and in the
// file.
const minFree = 64 << 20

// Probe makes a small write, and returns nil if the next writes can be stored: [ErrFull] if there
// is little space, even if the small write still fits.
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

// freeOf returns how many bytes are available on the file system of a folder.
func freeOf(folder string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, fmt.Errorf("asking for free space at %s: %w", folder, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}
