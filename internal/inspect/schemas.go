package inspect

import (
	"maps"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event/schema"
)

// A Schema is a schema in a list.
type Schema struct {
	Name    string    `json:"name"`
	Version int       `json:"version"`
	Since   time.Time `json:"since"` // time of the event that made the version
	Fields  int       `json:"fields"`
	Changed string    `json:"changed,omitempty"` // what came with the version, of a later one
}

// SchemaOf sums up the versions of a schema, of which there is one at least, the oldest first.
func SchemaOf(versions []*schema.Schema) Schema {
	latest := versions[len(versions)-1]
	v := Schema{Name: latest.Name(), Version: latest.Version, Since: latest.Since, Fields: countFields(latest.Detail)}
	if len(versions) == 1 {
		return v
	}
	if changes := schema.Diff(versions[len(versions)-2], latest); len(changes) > 0 {
		v.Changed = changes[0].String() + AndMore(len(changes)-1)
	}
	return v
}

// countFields counts the fields in a shape, at any depth.
func countFields(s *schema.Shape) int {
	if s == nil {
		return 0
	}
	n := len(s.Fields) + countFields(s.Items) + countFields(s.Values)
	for _, f := range s.Fields {
		n += countFields(&f.Shape)
	}
	return n
}

// driftWindow is how long a status tells of a schema that changed.
const driftWindow = 24 * time.Hour

// A Drift is a later version of a schema, and what came with it.
type Drift struct {
	Schema  string    `json:"schema"`
	Version int       `json:"version"`
	Since   time.Time `json:"since"`   // time of the event that made the version
	Changes []string  `json:"changes"` // each new or changed field
}

// DriftOf returns the versions of a schema that came since a time, but for the first one
// there is: what was known then is the baseline. versions are the oldest first.
func DriftOf(versions []*schema.Schema, since time.Time) (views []Drift) {
	for i := 1; i < len(versions); i++ {
		v := versions[i]
		if v.Since.Before(since) {
			continue
		}
		view := Drift{Schema: v.Name(), Version: v.Version, Since: v.Since}
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

// A SchemaDrift is how much of a schema has changed.
type SchemaDrift struct {
	Schema  string `json:"schema"`
	Changes int    `json:"changes"`
	First   string `json:"first"` // the first of them
}

// driftOf returns the schemas that have changed lately, by name.
func driftOf(schemas map[string][]*schema.Schema, now time.Time) (gists []SchemaDrift) {
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		gist := SchemaDrift{Schema: name}
		for _, v := range DriftOf(schemas[name], now.Add(-driftWindow)) {
			if gist.Changes += len(v.Changes); gist.First == "" && len(v.Changes) > 0 {
				gist.First = v.Changes[0]
			}
		}
		if gist.Changes > 0 {
			gists = append(gists, gist)
		}
	}
	return gists
}
