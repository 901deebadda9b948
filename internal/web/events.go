package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// How many events a page shows, and among how many it looks for those that pass a filter: a pattern
// reads whole events.
const (
	eventsShown   = 50
	lookedThrough = 20_000
	matchedAgain  = 1_000
)

// An eventRow is an event in a list.
type eventRow struct {
	eventlog.Stored
	Gist string
}

// An eventList is a page of events.
type eventList struct {
	Events  []eventRow
	Types   []choice
	Query   url.Values
	Wrong   string // what is wrong with the pattern
	Older   string // address of the next page; "" on the last, and where events have no numbers
	Looked  int    // how many events a filter was tried on
	Now     time.Time
	Filters bool
}

func (p *Page) events(r *request) (view, error) {
	values := r.URL.Query()
	l := eventList{Query: values, Now: r.now, Filters: values.Get("pattern")+values.Get("type")+values.Get("source") != ""}
	v := view{Name: "events", Title: "Events", Place: "/events", Live: values.Get("before") == ""}
	types, err := p.types(r, values.Get("type"))
	if err != nil {
		return view{}, err
	}
	l.Types = types
	filter, err := eventFilter(values)
	if err != nil {
		l.Wrong, v.Code, v.Data = err.Error(), http.StatusBadRequest, l
		return v, nil
	}
	if err := l.read(r, filter); err != nil {
		return view{}, err
	}
	v.Data = l
	return v, nil
}

// read reads the events of f, or those among the next that it may look at.
func (l *eventList) read(r *request, f eventlog.Filter) error {
	f.Limit = eventsShown + 1
	if r.Numbered && l.Filters {
		last := f.Before
		if last == 0 {
			newest, err := r.Events.Events(r.Context(), eventlog.Filter{Limit: 1})
			if err != nil || len(newest) == 0 {
				return err
			}
			last = newest[0].Seq + 1
		}
		l.Looked = lookedThrough
		if f.Pattern != nil {
			l.Looked = matchedAgain
		}
		f.Before, f.After = last, max(0, last-int64(l.Looked)-1)
	}
	list, err := r.Events.Events(r.Context(), f)
	if err != nil {
		return err
	}
	for _, s := range list[:min(len(list), eventsShown)] {
		l.Events = append(l.Events, eventRow{s, inspect.Gist(s.Event)})
	}
	switch {
	case !r.Numbered:
	case len(list) > eventsShown:
		l.Older = with(r.URL.Path, l.Query, "before", fmt.Sprint(list[eventsShown-1].Seq))
	case f.After > 0:
		l.Older = with(r.URL.Path, l.Query, "before", fmt.Sprint(f.After+1))
	}
	return nil
}

// eventFilter reads a filter from the address of a page.
func eventFilter(v url.Values) (f eventlog.Filter, err error) {
	f = eventlog.Filter{Source: strings.TrimSpace(v.Get("source")), DetailType: v.Get("type")}
	if text := strings.TrimSpace(v.Get("pattern")); text != "" {
		if f.Pattern, err = pattern.Parse([]byte(text)); err != nil {
			return f, err
		}
	}
	if before := v.Get("before"); before != "" {
		if f.Before, err = strconv.ParseInt(before, 10, 64); err != nil {
			return f, fmt.Errorf("before %q: want the number of an event", before)
		}
	}
	return f, nil
}

// types are the types of events that have a schema.
func (p *Page) types(r *request, chosen string) ([]choice, error) {
	schemas, err := r.Schemas.Schemas(r.Context())
	all := []choice{{Name: "any type", Chosen: chosen == ""}}
	names := map[string]bool{"": true}
	for _, versions := range schemas {
		if name := versions[len(versions)-1].DetailType; !names[name] {
			names[name] = true
			all = append(all, choice{name, name, name == chosen})
		}
	}
	if !names[chosen] {
		all = append(all, choice{chosen, chosen, true})
	}
	slices.SortFunc(all[1:], func(a, b choice) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// An eventStory is what an event's page shows.
type eventStory struct {
	eventlog.Stored
	Gist    string
	Schema  string   // its name; "" if none was discovered
	Strange []string // what it has that its schema does not say
	Now     time.Time
}

func (p *Page) event(r *request) (view, error) {
	list, err := r.Events.Events(r.Context(), eventlog.Filter{ID: r.PathValue("id"), Limit: 1})
	if err != nil {
		return view{}, err
	}
	if len(list) == 0 {
		return view{}, &fault{http.StatusNotFound, fmt.Sprintf("event %q is not in the log.", r.PathValue("id")), "Events are kept as long as archive.keep says."}
	}
	s := eventStory{Stored: list[0], Gist: inspect.Gist(list[0].Event), Now: r.now}
	s.Schema, s.Strange, err = strangeIn(r, s.Event)
	return view{Name: "event", Title: s.Event.DetailType, Place: "/events", Data: s}, err
}

// strangeIn compares an event with its schema.
func strangeIn(r *request, e event.Event) (name string, strange []string, err error) {
	schemas, err := r.Schemas.Schemas(r.Context())
	name = schema.Name(e.Source, e.DetailType)
	versions := schemas[name]
	if err != nil || len(versions) == 0 {
		return "", nil, err
	}
	if len(e.Detail) == 0 {
		return name, nil, nil
	}
	envelope, err := e.AppendEnvelope(nil)
	if err != nil {
		return name, nil, err
	}
	changes, err := versions[len(versions)-1].Drift(envelope)
	for _, c := range changes {
		strange = append(strange, c.String())
	}
	return name, strange, err
}

// A schemaStory is what a schema's page shows.
type schemaStory struct {
	inspect.Schema
	JSON  string
	Drift []inspect.Drift
	Now   time.Time
}

func (p *Page) schema(r *request) (view, error) {
	schemas, err := r.Schemas.Schemas(r.Context())
	if err != nil {
		return view{}, err
	}
	versions := schemas[r.PathValue("name")]
	if len(versions) == 0 {
		return view{}, &fault{http.StatusNotFound, fmt.Sprintf("schema %q is not known.", r.PathValue("name")), "mayfly schema list shows those that are."}
	}
	text, err := versions[len(versions)-1].JSONSchema()
	s := schemaStory{Schema: inspect.SchemaOf(versions), JSON: indented(text), Drift: inspect.DriftOf(versions, time.Time{}), Now: r.now}
	slices.Reverse(s.Drift)
	return view{Name: "schema", Title: "Schema " + s.Name, Place: "/events", Data: s}, err
}

// A letterList is what was given up: dead letters, and deliveries in quarantine.
type letterList struct {
	Letters []eventlog.DeadLetter
	Held    []eventlog.Quarantined
	Now     time.Time
}

const lettersShown = 100

func (p *Page) letters(r *request) (view, error) {
	letters, err1 := r.Letters.Letters(r.Context(), eventlog.LetterFilter{}, lettersShown)
	held, err2 := r.Quarantine.Quarantined(r.Context(), eventlog.QuarantineFilter{}, lettersShown)
	return view{Name: "letters", Title: "Given up", Place: "/letters", Live: true, Data: letterList{letters, held, r.now}}, errors.Join(err1, err2)
}

// indented is JSON for reading; what is none comes back as it is.
func indented(text []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}
