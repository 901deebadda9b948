package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Limits on a registry; see also those of shapes.
const (
	maxSchemas  = 500
	maxVersions = 100    // how many versions of a schema are kept, the latest ones
	maxKept     = 50_000 // positions in all kept versions of a schema
)

// ErrFull is returned for an event of a new type if a registry has no room for it.
var ErrFull = errors.New("schema registry is full")

// A Registry discovers schemas from events. The zero value is empty and ready to use. It is safe for
// concurrent use. Its JSON form contains its whole state.
type Registry struct {
	mu    sync.Mutex
	types map[string]*discovery // by name; guarded by mu
}

// discovery is the state of one event type.
type discovery struct {
	Shape    *Shape    `json:"shape"`
	Seen     int       `json:"seen"`     // number of events, counted up to enoughSeen
	Versions []*Schema `json:"versions"` // oldest first
}

// Observe merges an event, in EventBridge's envelope, into the schema of its type. It returns the
// latest version, and whether this event created it.
func (r *Registry) Observe(event []byte) (latest *Schema, changed bool, err error) {
	e, err := readEnvelope(event)
	if err != nil {
		return nil, false, err
	}
	shape := inferTree(e.Detail)
	r.mu.Lock()
	defer r.mu.Unlock()
	d, err := r.discovery(Name(e.Source, e.DetailType))
	if err != nil {
		return nil, false, err
	}
	if !d.add(shape) {
		return d.latest(), false, nil
	}
	next := &Schema{Source: e.Source, DetailType: e.DetailType, Version: 1, Since: e.Time.UTC(), Detail: d.Shape.clone(), Tentative: d.Seen < enoughSeen}
	if last := d.latest(); last != nil {
		next.Version = last.Version + 1
	}
	d.Versions = append(d.Versions, next)
	d.trim()
	return next, true, nil
}

// trim drops the oldest versions beyond the limits.
func (d *discovery) trim() {
	kept, from := 0, len(d.Versions)
	for from > 0 && len(d.Versions)-from < maxVersions {
		if kept += d.Versions[from-1].Detail.positions(); kept > maxKept {
			break
		}
		from--
	}
	d.Versions = slices.Delete(d.Versions, 0, min(from, len(d.Versions)-1))
}

func (r *Registry) discovery(name string) (*discovery, error) {
	if d := r.types[name]; d != nil {
		return d, nil
	}
	if len(r.types) >= maxSchemas {
		return nil, fmt.Errorf("%w: %q would be schema %d: want at most %d", ErrFull, name, maxSchemas+1, maxSchemas)
	}
	if r.types == nil {
		r.types = make(map[string]*discovery)
	}
	r.types[name] = &discovery{}
	return r.types[name], nil
}

// add merges shape and reports whether that changed the schema.
func (d *discovery) add(shape *Shape) bool {
	settles := d.Seen == enoughSeen-1
	d.Seen = min(d.Seen+1, enoughSeen)
	if d.Shape == nil {
		d.Shape = shape
		return true
	}
	room := maxPositions - d.Shape.positions()
	return d.Shape.merge(shape, &room) || settles
}

func (d *discovery) latest() *Schema {
	if len(d.Versions) == 0 {
		return nil
	}
	return d.Versions[len(d.Versions)-1]
}

// Names returns the names of all schemas, sorted.
func (r *Registry) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.types))
}

// Versions returns the kept versions of a schema, oldest first; none for an unknown name.
func (r *Registry) Versions(name string) []*Schema {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.types[name]; d != nil {
		return slices.Clone(d.Versions)
	}
	return nil
}

// Latest returns the latest version of a schema, or nil.
func (r *Registry) Latest(name string) *Schema {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.types[name]; d != nil {
		return d.latest()
	}
	return nil
}

// MarshalJSON returns the state of r, so that discovery can continue from it.
func (r *Registry) MarshalJSON() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return json.Marshal(r.types)
}

// UnmarshalJSON replaces the state of r.
func (r *Registry) UnmarshalJSON(data []byte) error {
	var types map[string]*discovery
	if err := json.Unmarshal(data, &types); err != nil {
		return err
	}
	for name, d := range types {
		if d == nil || d.Shape == nil || len(d.Versions) == 0 {
			return fmt.Errorf("schema %q: want a shape and at least one version", name)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.types = types
	return nil
}
