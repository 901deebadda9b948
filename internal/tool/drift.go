package tool

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

type schemaDriftCmd struct {
	Reading
	Name  string        `arg:"" optional:"" help:"Only this schema."`
	Since time.Duration `help:"How far to look back." default:"24h" placeholder:"TIME"`
}

// Run tells what changed, the oldest first.
func (c *schemaDriftCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	schemas, err := c.schemas(ctx, all, log)
	if err != nil {
		return err
	}
	if c.Name != "" {
		if schemas[c.Name] == nil {
			return noSchema(c.Name)
		}
		schemas = map[string][]*schema.Schema{c.Name: schemas[c.Name]}
	}
	views := []inspect.Drift{}
	for _, versions := range schemas {
		views = append(views, inspect.DriftOf(versions, time.Now().Add(-c.Since))...)
	}
	slices.SortStableFunc(views, func(a, b inspect.Drift) int { return a.Since.Compare(b.Since) })
	if c.JSON {
		return screen.JSON(views)
	}
	var rows [][]cli.Cell
	for _, v := range views {
		for _, change := range v.Changes {
			rows = append(rows, cli.Text(Stamp(v.Since), v.Schema, fmt.Sprint(v.Version), change))
		}
	}
	screen.Table([]string{"SINCE", "SCHEMA", "VERSION", "CHANGE"}, rows)
	return nil
}

func noSchema(name string) error {
	return cli.Hint(fmt.Errorf("schema %q: there is none", name), "mayfly schema list shows what there is")
}
