package awstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Schemas stands in for EventBridge's schema registry, which moto lacks. There is one
// registry in it, discovered-schemas.
// https://docs.aws.amazon.com/eventbridge/latest/schema-reference/
type Schemas struct {
	mu          sync.Mutex
	versions    map[string][]string // guarded by mu; contents by name, the oldest first
	discoverers map[string]bool     // guarded by mu; by the ARN of their bus
}

// SetDiscoverer makes a discoverer for a bus, or removes it, as CloudFormation does.
func (s *Schemas) SetDiscoverer(bus string, there bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.discoverers == nil {
		s.discoverers = map[string]bool{}
	}
	s.discoverers[fmt.Sprintf("arn:aws:events:%s:%s:event-bus/%s", Region, Account, bus)] = there
}

// Discover adds a version to a schema.
func (s *Schemas) Discover(name, content string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions == nil {
		s.versions = map[string][]string{}
	}
	s.versions[name] = append(s.versions[name], content)
}

// Names returns the names of all schemas, sorted.
func (s *Schemas) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.versions))
}

// Handler answers for the service.
func (s *Schemas) Handler() http.Handler {
	const at = "/v1/registries/name/discovered-schemas/schemas"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/discoverers", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		list := []any{}
		if source := r.URL.Query().Get("sourceArnPrefix"); s.discoverers[source] {
			list = append(list, map[string]any{"DiscovererId": "1", "SourceArn": source, "State": "STARTED"})
		}
		answer(w, map[string]any{"Discoverers": list})
	})
	mux.HandleFunc("GET "+at, func(w http.ResponseWriter, r *http.Request) {
		list := []any{}
		for _, name := range s.Names() {
			if strings.HasPrefix(name, r.URL.Query().Get("schemaNamePrefix")) {
				list = append(list, map[string]any{"SchemaName": name})
			}
		}
		answer(w, map[string]any{"Schemas": list})
	})
	mux.HandleFunc("GET "+at+"/name/{name}/versions", s.known(func(w http.ResponseWriter, _ *http.Request, all []string) {
		list := []any{}
		for i := range all {
			list = append(list, map[string]any{"SchemaVersion": strconv.Itoa(i + 1)})
		}
		slices.Reverse(list)
		answer(w, map[string]any{"SchemaVersions": list})
	}))
	mux.HandleFunc("GET "+at+"/name/{name}", s.known(func(w http.ResponseWriter, r *http.Request, all []string) {
		n, err := strconv.Atoi(r.URL.Query().Get("schemaVersion"))
		if err != nil || n < 1 || n > len(all) {
			missing(w)
			return
		}
		answer(w, map[string]any{"Content": all[n-1], "SchemaVersion": strconv.Itoa(n), "Type": "OpenApi3", "VersionCreatedDate": time.Unix(int64(n), 0).UTC().Format(time.RFC3339)})
	}))
	mux.HandleFunc("DELETE "+at+"/name/{name}", s.known(func(w http.ResponseWriter, r *http.Request, _ []string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.versions, r.PathValue("name"))
		w.WriteHeader(http.StatusNoContent)
	}))
	return mux
}

// known answers 404 for a schema that is not there.
func (s *Schemas) known(do func(http.ResponseWriter, *http.Request, []string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		all := slices.Clone(s.versions[r.PathValue("name")])
		s.mu.Unlock()
		if len(all) == 0 {
			missing(w)
			return
		}
		do(w, r, all)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who is gone hears nothing
}

func missing(w http.ResponseWriter) {
	w.Header().Set("X-Amzn-ErrorType", "NotFoundException")
	w.WriteHeader(http.StatusNotFound)
	answer(w, map[string]string{"Code": "NotFoundException", "Message": "no such schema"})
}
