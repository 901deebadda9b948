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

// Read returns the catalog that is kept in db, such as beside the process that keeps
// it; an empty one when there is none.
func Read(ctx context.Context, db *disk.DB) (*image.Catalog, error) {
	var tables int
	err := db.QueryRow(ctx, `SELECT count(*) FROM sqlite_master WHERE name = 'image_catalog'`).Scan(&tables)
	if err == nil && tables == 0 { // a file of a version that had no catalog
		return &image.Catalog{}, nil
	}
	var c *image.Catalog
	if err == nil {
		c, err = scan(db.QueryRow(ctx, selectBody))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the image catalog: %w", err)
	}
	return c, nil
}

// scan reads the one row; without it the catalog is empty.
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
