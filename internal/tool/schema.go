package tool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// schemaCmd is `mayfly schema`.
type schemaCmd struct {
	List   schemaListCmd   `cmd:"" help:"List schemas, with their versions."`
	Show   schemaShowCmd   `cmd:"" help:"Print the fields of a schema."`
	Diff   schemaDiffCmd   `cmd:"" help:"Tell what changed between two versions of a schema."`
	Drift  schemaDriftCmd  `cmd:"" help:"Tell each new or changed field of the last while, of all schemas or one."`
	Export schemaExportCmd `cmd:"" help:"Print a schema for other programs."`
}

// schemas reads all schemas by name, each with its versions, the oldest first.
func (r Reading) schemas(ctx context.Context, all *Globals, log *slog.Logger) (map[string][]*schema.Schema, error) {
	from, err := r.source(ctx, all, log)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	return from.Schemas.Schemas(ctx)
}

// naming says which version of which schema a command is about.
type naming struct {
	Reading
	Name    string `arg:"" help:"Name of the schema, such as github.com@Workflow_job."`
	Version int    `help:"Version; the latest by default." placeholder:"N"`
}

// find returns the schema and the versions of it that are kept.
func (n naming) find(ctx context.Context, all *Globals, log *slog.Logger) (*schema.Schema, []*schema.Schema, error) {
	schemas, err := n.schemas(ctx, all, log)
	if err != nil {
		return nil, nil, err
	}
	versions := schemas[n.Name]
	if len(versions) == 0 {
		return nil, nil, noSchema(n.Name)
	}
	s, err := numbered(versions, n.Version)
	return s, versions, err
}

// numbered returns the version of number n, the latest for 0.
func numbered(versions []*schema.Schema, n int) (*schema.Schema, error) {
	latest := versions[len(versions)-1]
	if n == 0 {
		return latest, nil
	}
	for _, s := range versions {
		if s.Version == n {
			return s, nil
		}
	}
	return nil, cli.Hint(fmt.Errorf("version %d of %s: want %d to %d", n, latest.Name(), versions[0].Version, latest.Version), "older ones are not kept")
}

type schemaListCmd struct{ Reading }

// Run lists schemas.
func (c *schemaListCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	schemas, err := c.schemas(ctx, all, log)
	if err != nil {
		return err
	}
	views := []inspect.Schema{}
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		views = append(views, inspect.SchemaOf(schemas[name]))
	}
	if c.JSON {
		return screen.JSON(views)
	}
	var rows [][]cli.Cell
	for _, v := range views {
		rows = append(rows, cli.Text(v.Name, fmt.Sprint(v.Version), Stamp(v.Since), fmt.Sprint(v.Fields), v.Changed))
	}
	screen.Table([]string{"SCHEMA", "VERSION", "SINCE", "FIELDS", "CHANGED"}, rows)
	return nil
}

type schemaShowCmd struct{ naming }

// Run prints the fields of a schema, or all of it as JSON.
func (c *schemaShowCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	s, _, err := c.find(ctx, all, log)
	if err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(s)
	}
	fmt.Fprintf(screen.Out, "%s, version %d since %s\n", cli.Printable(s.Name()), s.Version, Stamp(s.Since))
	if s.Tentative {
		fmt.Fprintln(screen.Out, "tentative: few events were seen, so exports take every field for optional")
	}
	fmt.Fprintln(screen.Out)
	printShape(screen, "detail", s.Detail, "required")
	return nil
}

// printShape prints a line for each position of a shape.
func printShape(screen *cli.Screen, path string, s *schema.Shape, presence string) {
	if s == nil {
		return
	}
	words := []string{cli.Printable(path), s.Types.String(), presence}
	if format := s.Text.Format(); format != "" {
		words = append(words, format)
	}
	if enum := s.Text.Enum(); len(enum) > 0 {
		words = append(words, "one of "+cli.Printable(strings.Join(enum, ", ")))
	}
	fmt.Fprintln(screen.Out, strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), "  "))
	for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
		f := s.Fields[name]
		presence := "required"
		if f.Optional {
			presence = "optional"
		}
		printShape(screen, path+"."+name, &f.Shape, presence)
	}
	printShape(screen, path+"[]", s.Items, "")
	printShape(screen, path+"{}", s.Values, "")
}

type schemaDiffCmd struct {
	naming
	Since int `help:"The version to compare with; the one before by default." placeholder:"N"`
}

// Run tells what changed.
func (c *schemaDiffCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	s, versions, err := c.find(ctx, all, log)
	if err != nil {
		return err
	}
	since := c.Since
	if since == 0 {
		since = s.Version - 1
	}
	if since == 0 {
		return errors.New(s.Name() + " before version 1: there is nothing to compare it with")
	}
	old, err := numbered(versions, since)
	if err != nil {
		return err
	}
	changes := append([]schema.Change{}, schema.Diff(old, s)...)
	if c.JSON {
		return screen.JSON(changes)
	}
	for _, change := range changes {
		fmt.Fprintln(screen.Out, cli.Printable(change.String()))
	}
	return nil
}

type schemaExportCmd struct {
	naming
	Format string `help:"One of: ${enum}." enum:"openapi,jsonschema,go" default:"openapi"`
	Pkg    string `name:"package" help:"Package of the Go types." default:"events"`
}

// Run prints a schema: OpenAPI 3 and JSON Schema draft 4 as EventBridge exports them, or
// Go types.
func (c *schemaExportCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	s, _, err := c.find(ctx, all, log)
	if err != nil {
		return err
	}
	var out []byte
	switch c.Format {
	case "openapi":
		out, err = s.OpenAPI()
	case "jsonschema":
		out, err = s.JSONSchema()
	default:
		out, err = s.GoTypes(c.Pkg)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(screen.Out, "%s\n", strings.TrimSuffix(string(out), "\n"))
	return err
}
