package openapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github/openapi"
)

const (
	runner    = `{"id":7,"name":"r1","os":"linux","status":"offline","busy":false,"labels":[{"name":"linux"}]}`
	jitPath   = "/api/v3/repos/acme/web/actions/runners/generate-jitconfig"
	jitBody   = `{"name":"r1","runner_group_id":1,"labels":["linux"]}`
	jitAnswer = `{"runner":` + runner + `,"encoded_jit_config":"e30="}`
	notFound  = `{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}`
	oneJob    = `{"id":1,"run_id":2,"run_url":"u","run_attempt":1,"node_id":"n","head_sha":"s","url":"u","html_url":null,` +
		`"status":"queued","conclusion":null,"created_at":"2026-01-31T12:00:00Z","started_at":"2026-01-31T12:00:00Z",` +
		`"completed_at":null,"name":"build","check_run_url":"u","labels":["linux"],"runner_id":null,"runner_name":null,` +
		`"runner_group_id":null,"runner_group_name":null,"workflow_name":"CI","head_branch":null}`
)

// exchange sends one request through Check to a server that gives one answer,
// and returns what was reported.
func exchange(t *testing.T, method, path, body string, status int, answer string) []string {
	t.Helper()
	var reports []string
	report := func(format string, args ...any) { reports = append(reports, fmt.Sprintf(format, args...)) }
	server := httptest.NewServer(openapi.Check(report, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got, _ := io.ReadAll(r.Body); string(got) != body {
			t.Errorf("the handler got the body %q, want %q", got, body)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Link", `<https://api.github.com/x?page=2>; rel="next", <https://api.github.com/x?page=9>; rel="last"`)
		w.WriteHeader(status)
		io.WriteString(w, answer)
	})))
	defer server.Close()
	req, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, _ := io.ReadAll(res.Body); string(got) != answer || res.StatusCode != status {
		t.Errorf("the client got %d %q, want %d %q", res.StatusCode, got, status, answer)
	}
	return reports
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name, method, path, body string
		status                   int
		answer                   string
		want                     string // in the only report; "" means no report
	}{
		{"registers a runner", "POST", jitPath, jitBody, 201, jitAnswer, ""},
		{"without the prefix", "POST", strings.TrimPrefix(jitPath, "/api/v3"), jitBody, 201, jitAnswer, ""},
		{"documented conflict", "POST", jitPath, jitBody, 409, `{"message":"Already exists"}`, ""},
		{"undocumented rate limit", "POST", jitPath, jitBody, 429, `{"message":"slow down"}`, ""},
		{"a proxy's 502", "POST", jitPath, jitBody, 502, `<html>`, ""},
		{"removes a runner", "DELETE", "/orgs/acme/actions/runners/7", "", 204, "", ""},
		{"a runner that is gone", "DELETE", "/orgs/acme/actions/runners/7", "", 404, notFound, ""},
		{"a page of runners", "GET", "/orgs/acme/actions/runners?per_page=100&page=2", "", 200, `{"total_count":1,"runners":[` + runner + `]}`, ""},
		{"a job that waits", "GET", "/repos/acme/web/actions/jobs/1", "", 200, oneJob, ""},
		{"runner protocol", "POST", "/api/v3/actions/runner-registration", "{}", 418, "?", ""},
		{"git", "GET", "/acme/web.git/info/refs?service=git-upload-pack", "", 200, "0000", ""},
		{"runner groups of a repository", "GET", "/api/v3/repos/acme/web/actions/runner-groups", "", 200, "{}", ""},

		{"unknown path", "GET", "/repos/acme/web/actions/minions", "", 200, "{}", "no such operation"},
		{"unknown method", "PUT", "/orgs/acme/actions/runners/7", "", 200, "{}", "no such operation"},
		{"id that is no number", "DELETE", "/orgs/acme/actions/runners/seven", "", 204, "", "runner_id"},
		{"page of a thousand words", "GET", "/orgs/acme/actions/runners?per_page=many", "", 200, `{"total_count":0,"runners":[]}`, "per_page"},
		{"unknown query", "GET", "/orgs/acme/actions/runners?size=100", "", 200, `{"total_count":0,"runners":[]}`, `query parameter "size"`},
		{"no labels", "POST", jitPath, `{"name":"r1","runner_group_id":1}`, 201, jitAnswer, "request: "},
		{"empty labels", "POST", jitPath, `{"name":"r1","runner_group_id":1,"labels":[]}`, 201, jitAnswer, "request: "},
		{"name as a number", "POST", jitPath, `{"name":1,"runner_group_id":1,"labels":["a"]}`, 201, jitAnswer, "request: "},
		{"unknown member", "POST", jitPath, `{"name":"r1","runner_group_id":1,"labels":["a"],"colour":"red"}`, 201, jitAnswer, "colour"},
		{"a body where there is none", "DELETE", "/orgs/acme/actions/runners/7", `{}`, 204, "", "request: "},
		{"answer without the runner", "POST", jitPath, jitBody, 201, `{"encoded_jit_config":"e30="}`, "runner"},
		{"answer that is no JSON", "POST", jitPath, jitBody, 201, `{`, "answer 201"},
		{"200 in place of 201", "POST", jitPath, jitBody, 200, jitAnswer, "answer 200"},
		{"undocumented conflict", "DELETE", "/orgs/acme/actions/runners/7", "", 409, notFound, "answer 409"},
		{"error without a message", "POST", jitPath, jitBody, 401, `{}`, "want a JSON object with a message"},
		{"job in a state of its own", "GET", "/repos/acme/web/actions/jobs/1", "", 200, strings.Replace(oneJob, `"queued"`, `"napping"`, 1), "status"},
		{"time that is none", "GET", "/repos/acme/web/actions/jobs/1", "", 200, strings.Replace(oneJob, "2026-01-31T12:00:00Z", "yesterday", 1), "created_at"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reports := exchange(t, tt.method, tt.path, tt.body, tt.status, tt.answer)
			switch {
			case tt.want == "" && len(reports) > 0:
				t.Errorf("reported %q, want nothing", reports)
			case tt.want != "" && len(reports) != 1:
				t.Errorf("reported %q, want one report with %q", reports, tt.want)
			case tt.want != "" && !strings.Contains(reports[0], tt.want):
				t.Errorf("reported %q, want it to tell of %q", reports[0], tt.want)
			}
		})
	}
}

// TestCheckLetsConnectionsBeCut is about what a test of lost answers does: no
// answer is no wrong answer.
func TestCheckLetsConnectionsBeCut(t *testing.T) {
	server := httptest.NewServer(openapi.Check(t.Errorf, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	})))
	defer server.Close()
	if res, err := http.Get(server.URL + "/app"); err == nil {
		res.Body.Close()
		t.Errorf("got %s, want a cut connection", res.Status)
	}
}

func TestOperations(t *testing.T) {
	all := openapi.Operations()
	if len(all) < 80 || all[0] != "DELETE /enterprises/{enterprise}/actions/runners/{runner_id}" {
		t.Errorf("%d operations, first %q", len(all), all[0])
	}
}

// TestMinimal holds documents of Minimal against the description they are from.
func TestMinimal(t *testing.T) {
	tests := []struct{ path, schema string }{
		{"/repos/acme/web/actions/jobs/1", "job"},
		{"/repos/acme/web/actions/runs/1", "workflow-run"},
		{"/orgs/acme/hooks/1", "org-hook"},
		{"/repos/acme/web/hooks/1", "hook"},
		{"/repos/acme/web/installation", "installation"},
		{"/repos/acme/web/releases/latest", "release"},
		{"/app", "integration"},
	}
	for _, tt := range tests {
		answer, err := json.Marshal(openapi.Minimal(tt.schema, nil))
		if err != nil {
			t.Fatal(err)
		}
		if reports := exchange(t, "GET", tt.path, "", 200, string(answer)); len(reports) > 0 {
			t.Errorf("%s: %s", tt.schema, reports)
		}
	}
}
