package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/image"
)

const selectBody = `SELECT body FROM image_catalog`

// Migrated returns nil if db has the tables that [Read] reads, and [disk.ErrOlder] if no catalog of
// this version has been opened on it yet.
func Migrated(ctx context.Context, db *disk.DB) error { return db.Migrated(ctx, "image", schema) }

// Read returns the catalog in db, or an empty one if there is none. It may be used while another
// process writes the catalog.
func Read(ctx context.Context, db *disk.DB) (*image.Catalog, error) {
	c, err := scan(db.QueryRow(ctx, selectBody))
	if err != nil {
		return nil, fmt.Errorf("reading the image catalog: %w", err)
	}
	return c, nil
}

// scan reads the only row. Without one the catalog is empty.
func scan(row *sql.Row) (*image.Catalog, error) {
	var body []byte
	var c image.Catalog
	switch err := row.Scan(&body); {
	case errors.Is(err, sql.ErrNoRows):
		return &c, nil
	case err != nil:
		return nil, err
	}
	return &c, json.Unmarshal(body, &c)
}
