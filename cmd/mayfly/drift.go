package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
)

// driftWindow is how long status tells of a schema that changed.
const driftWindow = 24 * time.Hour

// A driftView is a later version of a schema, and what came with it.
type driftView struct {
	Schema  string    `json:"schema"`
	Version int       `json:"version"`
	Since   time.Time `json:"since"`   // time of the event that made the version
	Changes []string  `json:"changes"` // each new or changed field
}

// driftOf returns the versions of a schema that came since a time, but for the first one
// there is: what was known then is the baseline. versions are the oldest first.
func driftOf(versions []*schema.Schema, since time.Time) (views []driftView) {
	for i := 1; i < len(versions); i++ {
		v := versions[i]
		if v.Since.Before(since) {
			continue
		}
		view := driftView{Schema: v.Name(), Version: v.Version, Since: v.Since}
		for _, change := range schema.Diff(versions[i-1], v) {
			if !change.Settles() { // which says nothing new of events
				view.Changes = append(view.Changes, change.String())
			}
		}
		if len(view.Changes) > 0 {
			views = append(views, view)
		}
	}
	return views
}

// A driftGist is how much of a schema has changed.
type driftGist struct {
	Schema  string `json:"schema"`
	Changes int    `json:"changes"`
	First   string `json:"first"` // the first of them
}

// drift returns the schemas that have changed lately, by name.
func drift(ctx context.Context, from schemaReader, now time.Time) (gists []driftGist, err error) {
	schemas, err := from.Schemas(ctx)
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		gist := driftGist{Schema: name}
		for _, v := range driftOf(schemas[name], now.Add(-driftWindow)) {
			if gist.Changes += len(v.Changes); gist.First == "" && len(v.Changes) > 0 {
				gist.First = v.Changes[0]
			}
		}
		if gist.Changes > 0 {
			gists = append(gists, gist)
		}
	}
	return gists, err
}

type schemaDriftCmd struct {
	reading
	Name  string        `arg:"" optional:"" help:"Only this schema."`
	Since time.Duration `help:"How far to look back." default:"24h" placeholder:"TIME"`
}

// Run tells what changed, the oldest first.
func (c *schemaDriftCmd) Run(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger) error {
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
	views := []driftView{}
	for _, versions := range schemas {
		views = append(views, driftOf(versions, time.Now().Add(-c.Since))...)
	}
	slices.SortStableFunc(views, func(a, b driftView) int { return a.Since.Compare(b.Since) })
	if c.JSON {
		return screen.JSON(views)
	}
	var rows [][]cli.Cell
	for _, v := range views {
		for _, change := range v.Changes {
			rows = append(rows, cli.Text(stamp(v.Since), v.Schema, fmt.Sprint(v.Version), change))
		}
	}
	screen.Table([]string{"SINCE", "SCHEMA", "VERSION", "CHANGE"}, rows)
	return nil
}

func noSchema(name string) error {
	return cli.Hint(fmt.Errorf("schema %q: there is none", name), "mayfly schema list shows what there is")
}
