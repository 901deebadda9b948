// Package openapi is the judge between the two sides of GitHub's REST API that
// this project has, the client and githubsim: GitHub's own description of the
// API, and a handler that holds every request and every answer against it.
//
// It is support for tests and is imported by tests only, so that neither
// kin-openapi nor the description ends up in a binary.
//
// github-rest-runners.json is the part of npm package @octokit/openapi 23.0.2
// (MIT licence, Copyright GitHub) that runner scaling and mayfly test use, without descriptions
// and examples; members that are themselves called description lost their schemas
// with these and may be anything. It is replaced by a newer one, never edited.
package openapi

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

//go:embed github-rest-runners.json
var description []byte

// repositories are lists of repositories from the same package, made the same way.
//
//go:embed github-rest-repositories.json
var repositories []byte

// enterpriseServer is what an Enterprise Server, and githubsim, put before the
// paths of the description.
const enterpriseServer = "/api/v3"

// exempt lists what githubsim serves beside the REST API: the runner protocol,
// which GitHub describes nowhere, and pages of its own.
var exempt = []string{"/actions/runner-registration", "/actions/runners/register", "/_runner/", "/_sim/"}

// Check returns a handler that passes every request on to next and reports,
// through a func such as t.Errorf, each request and each answer that GitHub's
// description does not allow: unknown paths, unknown parameters and members of
// a body, missing or mistyped ones, and status codes that are not documented.
//
// Paths may begin with /api/v3. Paths of the runner protocol, of git and below
// /_sim pass unchecked, as does whatever begins, after /api/v3, with one of also.
//
// An error that GitHub gives without documenting it for each operation is
// allowed: 401, 403, 404, 429 and 5xx; if below 500, with a message in its body.
func Check(report func(format string, args ...any), next http.Handler, also ...string) http.Handler {
	doc := load()
	var all []*operation
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			all = append(all, &operation{doc: doc, path: path, item: item, method: method, op: op, report: report, next: next})
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o, params := find(all, r); o != nil {
			o.serve(w, r, params)
			return
		}
		if !isExempt(r.URL.Path, also) {
			report("%s %s: GitHub's description has no such operation", r.Method, r.URL.Path)
		}
		next.ServeHTTP(w, r)
	})
}

// find returns the operation that r asks for, with what its path's parameters
// stand for, or nil. Of several the one with most words of its own counts:
// …/runners/downloads goes before …/runners/{runner_id}.
func find(all []*operation, r *http.Request) (best *operation, params map[string]string) {
	segments := strings.Split(strings.TrimPrefix(r.URL.Path, enterpriseServer), "/")
	for _, o := range all {
		if o.method != r.Method {
			continue
		}
		if p, ok := match(strings.Split(o.path, "/"), segments); ok && (best == nil || len(p) < len(params)) {
			best, params = o, p
		}
	}
	return best, params
}

// match holds the segments of a path against those of a template. A ref, which is the
// last, has several: heads/main.
func match(template, segments []string) (params map[string]string, ok bool) {
	if last := len(template) - 1; template[last] == "{ref}" && len(segments) > last {
		segments = append(slices.Clone(segments[:last]), strings.Join(segments[last:], "/"))
	}
	if len(template) != len(segments) {
		return nil, false
	}
	params = map[string]string{}
	for i, t := range template {
		name, isParam := strings.CutPrefix(t, "{")
		switch {
		case isParam && segments[i] != "":
			params[strings.TrimSuffix(name, "}")] = segments[i]
		case t != segments[i]:
			return nil, false
		}
	}
	return params, true
}

// Operations returns the operations of the description, such as
// "GET /app/hook/config", sorted. A test that is to touch each of them ticks
// them off.
func Operations() []string {
	var all []string
	for path, item := range load().Paths.Map() {
		for method := range item.Operations() {
			all = append(all, method+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

// load parses the description, once per process: that takes some 80 ms. It
// panics when the description is broken: it is part of the program.
var load = sync.OnceValue(func() *openapi3.T {
	whole, err := joined(description, repositories)
	if err != nil {
		panic(fmt.Sprintf("joining the description's parts: %v", err))
	}
	doc, err := openapi3.NewLoader().LoadFromData(whole)
	if err != nil {
		panic(fmt.Sprintf("reading the description: %v", err))
	}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			closeBody(op)
		}
	}
	return doc
})

// joined puts the paths and components of more into description.
func joined(description, more []byte) ([]byte, error) {
	var whole map[string]json.RawMessage
	var parts, others struct {
		Paths      map[string]json.RawMessage            `json:"paths"`
		Components map[string]map[string]json.RawMessage `json:"components"`
	}
	err := errors.Join(json.Unmarshal(description, &whole), json.Unmarshal(description, &parts), json.Unmarshal(more, &others))
	if err != nil {
		return nil, err
	}
	maps.Copy(parts.Paths, others.Paths)
	for kind, named := range others.Components {
		maps.Copy(parts.Components[kind], named)
	}
	if whole["paths"], err = json.Marshal(parts.Paths); err != nil {
		return nil, err
	}
	if whole["components"], err = json.Marshal(parts.Components); err != nil {
		return nil, err
	}
	return json.Marshal(whole)
}

// closeBody makes members of a request's body that are not documented a fault:
// GitHub drops them silently, so that they are always a mistake.
func closeBody(op *openapi3.Operation) {
	if op.RequestBody == nil {
		return
	}
	no := false
	for media := range maps.Values(op.RequestBody.Value.Content) {
		if s := media.Schema.Value; len(s.Properties) > 0 {
			s.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
		}
	}
}

func isExempt(path string, also []string) bool {
	path = strings.TrimPrefix(path, enterpriseServer)
	for _, prefix := range slices.Concat(exempt, also) {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	// git clone and push of /owner/name.git, with or without the ending.
	return strings.HasSuffix(path, "/info/refs") || strings.HasSuffix(path, "/git-upload-pack") ||
		strings.HasSuffix(path, "/git-receive-pack") ||
		// The runner asks for the groups of a repository; only those of an organisation are described.
		strings.HasPrefix(path, "/repos/") && strings.HasSuffix(path, "/actions/runner-groups")
}
