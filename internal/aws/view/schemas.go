package view

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/schemas"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
)

// Registry is where EventBridge puts what it discovers. It is the account's, and has
// what discoverers of others found, too.
const Registry = "discovered-schemas"

// Schemas are those that EventBridge discovered of events of ours: their names tell
// the source.
type Schemas struct{ api *schemas.Client }

// NewSchemas returns them.
func NewSchemas(c aws.Config) *Schemas { return &Schemas{schemas.NewFromConfig(c)} }

// Names returns the names of the schemas of our events, sorted.
func (s *Schemas) Names(ctx context.Context) (names []string, err error) {
	for _, source := range []string{event.SourceGitHub, event.SourceMayfly} {
		in := &schemas.ListSchemasInput{RegistryName: aws.String(Registry), SchemaNamePrefix: aws.String(source + "@")}
		for pages := schemas.NewListSchemasPaginator(s.api, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("schemas of %s: %w", source, err)
			}
			for _, one := range page.Schemas {
				names = append(names, aws.ToString(one.SchemaName))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Schemas returns all schemas by name, each with its versions, the oldest first.
func (s *Schemas) Schemas(ctx context.Context) (map[string][]*schema.Schema, error) {
	names, err := s.Names(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string][]*schema.Schema{}
	for _, name := range names {
		if all[name], err = s.versions(ctx, name); err != nil {
			return nil, fmt.Errorf("schema %s: %w", name, err)
		}
	}
	return all, nil
}

// maxVersions is how many versions of a schema are read, the latest.
const maxVersions = 10

func (s *Schemas) versions(ctx context.Context, name string) (all []*schema.Schema, err error) {
	var numbers []int
	in := &schemas.ListSchemaVersionsInput{RegistryName: aws.String(Registry), SchemaName: &name}
	for pages := schemas.NewListSchemaVersionsPaginator(s.api, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range page.SchemaVersions {
			n, err := strconv.Atoi(strings.TrimSpace(aws.ToString(v.SchemaVersion)))
			if err != nil {
				return nil, fmt.Errorf("version %q: want a number", aws.ToString(v.SchemaVersion))
			}
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers[max(0, len(numbers)-maxVersions):] {
		one, err := s.version(ctx, name, n)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *Schemas) version(ctx context.Context, name string, n int) (*schema.Schema, error) {
	out, err := s.api.DescribeSchema(ctx, &schemas.DescribeSchemaInput{
		RegistryName: aws.String(Registry), SchemaName: &name, SchemaVersion: aws.String(strconv.Itoa(n)),
	})
	if err != nil {
		return nil, err
	}
	read, err := schema.ParseOpenAPI([]byte(aws.ToString(out.Content)))
	if err != nil {
		return nil, err
	}
	read.Version, read.Since = n, cmp.Or(aws.ToTime(out.VersionCreatedDate), aws.ToTime(out.LastModified)).UTC()
	return read, nil
}

// Remove removes the schemas of our events. Where another stack of Mayfly's is in the same
// region, its discoverer finds them again.
func (s *Schemas) Remove(ctx context.Context) error {
	names, err := s.Names(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := s.api.DeleteSchema(ctx, &schemas.DeleteSchemaInput{RegistryName: aws.String(Registry), SchemaName: &name}); err != nil {
			return fmt.Errorf("removing schema %s: %w", name, err)
		}
	}
	return nil
}
