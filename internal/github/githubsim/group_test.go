package githubsim_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// jitIn makes a runner of acme's in a group, connected.
func (w *world) jitIn(group float64, name string, labels ...string) *handRunner {
	w.t.Helper()
	a := w.api(http.StatusCreated, "POST", "/orgs/acme/actions/runners/generate-jitconfig",
		map[string]any{"name": name, "runner_group_id": group, "labels": labels})
	return w.decodeJIT(a.body["encoded_jit_config"].(string)).connect()
}

func (w *world) group(body map[string]any) float64 {
	w.t.Helper()
	return w.api(http.StatusCreated, "POST", "/orgs/acme/actions/runner-groups", body).body["id"].(float64)
}

// TestGroupsDecideWhoRunsWhat: group, visibility and labels.
func TestGroupsDecideWhoRunsWhat(t *testing.T) {
	const plain = "on: push\njobs: {j: {runs-on: linux, steps: [{run: 'true'}]}}"
	const grouped = "on: push\njobs: {j: {runs-on: {group: %s}, steps: [{run: 'true'}]}}"
	for name, c := range map[string]struct {
		group    map[string]any
		private  bool
		selected bool
		file     string
		want     int
	}{
		"all, private repository":          {map[string]any{"name": "G"}, true, false, plain, 200},
		"all, public repository":           {map[string]any{"name": "G"}, false, false, plain, 202},
		"public allowed":                   {map[string]any{"name": "G", "allows_public_repositories": true}, false, false, plain, 200},
		"selected, not this":               {map[string]any{"name": "G", "visibility": "selected"}, true, false, plain, 202},
		"selected, this":                   {map[string]any{"name": "G", "visibility": "selected"}, true, true, plain, 200},
		"selected, this, but public":       {map[string]any{"name": "G", "visibility": "selected"}, false, true, plain, 202},
		"private":                          {map[string]any{"name": "G", "visibility": "private"}, true, false, plain, 200},
		"private, public repository":       {map[string]any{"name": "G", "visibility": "private", "allows_public_repositories": true}, false, false, plain, 202},
		"the group, in another case":       {map[string]any{"name": "My Group"}, true, false, fmt.Sprintf(grouped, "my GROUP"), 200},
		"another group":                    {map[string]any{"name": "G"}, true, false, fmt.Sprintf(grouped, "H"), 202},
		"the organisation's":               {map[string]any{"name": "G"}, true, false, fmt.Sprintf(grouped, "organization/g"), 200},
		"the enterprise's":                 {map[string]any{"name": "G"}, true, false, fmt.Sprintf(grouped, "enterprise/g"), 202},
		"the group, with a label too many": {map[string]any{"name": "G"}, true, false, fmt.Sprintf(grouped, "G, labels: [linux, gpu]"), 202},
		"the group, with labels":           {map[string]any{"name": "G"}, true, false, fmt.Sprintf(grouped, "G, labels: [LINUX]"), 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.repository(githubsim.Repository{Name: "acme/app", Private: c.private})
			id := w.group(c.group)
			if c.selected {
				repo := w.api(http.StatusOK, "PATCH", "/repos/acme/app", map[string]any{"private": c.private}).body["id"]
				w.api(http.StatusNoContent, "PUT", fmt.Sprintf("/orgs/acme/actions/runner-groups/%.0f/repositories/%.0f", id, repo), nil)
			}
			if _, err := w.Push(githubsim.Push{Repository: "acme/app", Files: map[string]string{".github/workflows/ci.yml": c.file}}); err != nil {
				t.Fatal(err)
			}
			if got := w.jitIn(id, "r", "linux").poll().code; got != c.want {
				t.Errorf("the runner's poll: %d, want %d", got, c.want)
			}
		})
	}
}

func TestGroupCalls(t *testing.T) {
	w := newWorld(t)
	const base = "/orgs/acme/actions/runner-groups"
	created := w.api(http.StatusCreated, "POST", base, map[string]any{"name": "builds"})
	if created.body["allows_public_repositories"] != false || created.body["visibility"] != "all" {
		t.Errorf("a new group is %s", created.text)
	}
	if got := w.unchecked("POST", "/api/v3"+base, map[string]any{"name": "Builds"}); got != http.StatusConflict {
		t.Errorf("a name that is taken: %d", got)
	}
	one := fmt.Sprintf("%s/%.0f", base, created.body["id"])
	if got := w.api(http.StatusOK, "GET", base, nil).body["total_count"]; got != 2.0 {
		t.Errorf("%v groups", got)
	}
	if got := w.api(http.StatusOK, "PATCH", one, map[string]any{"name": "b2", "visibility": "selected", "allows_public_repositories": true}); got.body["name"] != "b2" {
		t.Errorf("changed: %s", got.text)
	}
	repo := w.api(http.StatusOK, "PATCH", "/repos/acme/web", map[string]any{}).body["id"]
	w.api(http.StatusNoContent, "PUT", one+"/repositories", map[string]any{"selected_repository_ids": []any{repo}})
	if got := w.api(http.StatusOK, "GET", one+"/repositories", nil).body["total_count"]; got != 1.0 {
		t.Errorf("%v repositories", got)
	}
	w.api(http.StatusNoContent, "DELETE", fmt.Sprintf("%s/repositories/%.0f", one, repo), nil)

	r := w.jitIn(1, "r", "linux")
	w.push("on: push\njobs: {j: {runs-on: {group: b2}, steps: [{run: 'true'}]}}")
	if got := r.poll().code; got != http.StatusAccepted {
		t.Errorf("a runner of the default group hears %d", got)
	}
	w.api(http.StatusNoContent, "PUT", one+"/repositories", map[string]any{"selected_repository_ids": []any{repo}})
	w.api(http.StatusNoContent, "PUT", fmt.Sprintf("%s/runners/%d", one, w.Runners()[0].ID), nil)
	if got := w.api(http.StatusOK, "GET", one+"/runners", nil).body["total_count"]; got != 1.0 {
		t.Errorf("%v runners in the group", got)
	}
	if got := r.poll().code; got != http.StatusOK {
		t.Errorf("after it moved to the group it hears %d", got)
	}
	w.api(http.StatusNoContent, "PUT", one+"/runners", map[string]any{"runners": []int64{}})
	w.api(http.StatusNoContent, "DELETE", one, nil)
	w.api(http.StatusNotFound, "GET", one, nil)
	if got := w.Runners()[0]; got.GroupID != 1 || got.Group != "Default" {
		t.Errorf("a runner of a group that went is in %q", got.Group)
	}
}

// TestHostedGroup: group 2 is GitHub's own.
func TestHostedGroup(t *testing.T) {
	w := newWorld(t)
	body := map[string]any{"name": "r", "runner_group_id": 2, "labels": []string{"linux"}}
	w.api(http.StatusForbidden, "POST", "/orgs/acme/actions/runners/generate-jitconfig", body)
	w.api(http.StatusForbidden, "POST", "/repos/acme/web/actions/runners/generate-jitconfig", body)
}
