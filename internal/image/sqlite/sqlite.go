// Package sqlite keeps the image catalog of one machine in its SQLite file, as a single row. A
// change and the events that follow from it are committed together.
package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/image"
)

var schema = []string{
	`CREATE TABLE image_catalog (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL)`,
}

// Config is what a [Catalog] needs.
type Config struct {
	Settings func() image.Settings // returns the current settings, for each input; nil for the zero value

	// Emit passes effects on, inside the transaction of the change that they follow from: if it
	// returns an error, neither is kept. It runs in the writer's goroutine. May be nil.
	Emit func(tx *disk.Tx, effects []image.Effect) error

	Now func() time.Time // the clock; time.Now if nil
}

// A Catalog is an [image.Store] in a [disk.DB].
type Catalog struct {
	db     *disk.DB
	config Config
}

var _ image.Store = (*Catalog)(nil)

// Open returns the catalog in db, and creates it if needed.
func Open(ctx context.Context, db *disk.DB, c Config) (*Catalog, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Settings == nil {
		c.Settings = func() image.Settings { return image.Settings{} }
	}
	if c.Emit == nil {
		c.Emit = func(*disk.Tx, []image.Effect) error { return nil }
	}
	if err := db.Migrate(ctx, "image", schema); err != nil {
		return nil, err
	}
	return &Catalog{db, c}, nil
}

// Apply implements [image.Store].
func (c *Catalog) Apply(ctx context.Context, in image.Input) (result image.Result, err error) {
	err = c.db.Write(ctx, func(tx *disk.Tx) error {
		result, err = c.apply(tx, in)
		return err
	})
	if err != nil {
		return image.Result{}, fmt.Errorf("image catalog: applying %T: %w", in, err)
	}
	return result, nil
}

func (c *Catalog) apply(tx *disk.Tx, in image.Input) (image.Result, error) {
	catalog, err := scan(tx.QueryRow(selectBody))
	if err != nil {
		return image.Result{}, err
	}
	result := catalog.Apply(in, c.config.Settings(), c.config.Now())
	if result.Changed {
		body, err := json.Marshal(catalog)
		if err != nil {
			return image.Result{}, err
		}
		if _, err := tx.Exec(`INSERT INTO image_catalog (one, body) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET body = excluded.body`, body); err != nil {
			return image.Result{}, err
		}
	}
	if len(result.Effects) == 0 {
		return result, nil
	}
	return result, c.config.Emit(tx, result.Effects)
}

// Catalog implements [image.Store].
func (c *Catalog) Catalog(ctx context.Context) (*image.Catalog, error) { return Read(ctx, c.db) }
