package disk

import (
	"context"
	"fmt"
)

// Migrate brings the tables of owner up to date. Steps are SQL scripts, each of which runs once in
// the life of the file, in order, each in its own transaction. Only append steps: a changed one
// would not run again.
func (db *DB) Migrate(ctx context.Context, owner string, steps []string) error {
	var done int
	err := db.Write(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`CREATE TABLE IF NOT EXISTS migrations (
			owner TEXT NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (owner, step)) WITHOUT ROWID`)
		if err != nil {
			return err
		}
		return tx.QueryRow(`SELECT coalesce(max(step), 0) FROM migrations WHERE owner = ?`, owner).Scan(&done)
	})
	if err != nil {
		return fmt.Errorf("reading the version of the tables of %s: %w", owner, err)
	}
	if done > len(steps) {
		return fmt.Errorf("tables of %s are at step %d, want at most %d: the file was written by a newer version", owner, done, len(steps))
	}
	for i := done; i < len(steps); i++ {
		if err := db.step(ctx, owner, i+1, steps[i]); err != nil {
			return fmt.Errorf("bringing the tables of %s to step %d: %w", owner, i+1, err)
		}
	}
	return nil
}

// Migrated returns nil if the tables of owner are as [DB.Migrate] leaves them after steps, and
// [ErrOlder] if they are older. It is for readers, which cannot migrate. Tables of a newer version
// are read as far as this one knows them.
func (db *DB) Migrated(ctx context.Context, owner string, steps []string) error {
	var kept bool
	var done int
	err := db.QueryRow(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'`).Scan(&kept)
	if err == nil && kept {
		err = db.QueryRow(ctx, `SELECT coalesce(max(step), 0) FROM migrations WHERE owner = ?`, owner).Scan(&done)
	}
	switch {
	case err != nil:
		return fmt.Errorf("reading the version of the tables of %s: %w", owner, err)
	case done < len(steps):
		return fmt.Errorf("tables of %s are at step %d, want %d: %w", owner, done, len(steps), ErrOlder)
	}
	return nil
}

func (db *DB) step(ctx context.Context, owner string, number int, script string) error {
	return db.Write(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(script); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO migrations (owner, step) VALUES (?, ?)`, owner, number)
		return err
	})
}
