package githubsim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// TestRename: later deliveries carry the new name, with the same id, also of a job
// that waits since before.
func TestRename(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	w.push(one)
	before := l.news()[0]
	r := w.jitRunner("r", "linux", "x64").connect()
	w.api(http.StatusOK, "PATCH", "/repos/acme/web", map[string]any{"name": "site"})
	r.run("succeeded", nil)
	for _, p := range l.news() {
		if p.Repository.FullName != "acme/site" || p.Repository.ID != before.Repository.ID || p.Job.ID != before.Job.ID {
			t.Errorf("%s is of %+v", p.Action, p.Repository)
		}
	}
	var renamed struct {
		Changes struct {
			Repository struct{ Name struct{ From string } }
		}
	}
	d := l.of("repository", "renamed")
	if len(d) != 1 || json.Unmarshal(d[0].body, &renamed) != nil || renamed.Changes.Repository.Name.From != "web" {
		t.Errorf("deliveries of the renaming: %v", d)
	}
	a := w.api(http.StatusOK, "GET", "/repos/acme/web/actions/runs?per_page=1", nil) // the client follows
	if got := a.body["workflow_runs"].([]any)[0].(map[string]any)["repository"].(map[string]any)["full_name"]; got != "acme/site" {
		t.Errorf("by the old name: %v", got)
	}
	w.api(http.StatusCreated, "POST", "/repos/acme/web/actions/runners/registration-token", nil)
	w.repository(githubsim.Repository{Name: "acme/web"}) // takes the name
	if got := w.api(http.StatusOK, "GET", "/repos/acme/web/actions/runs", nil).body["total_count"]; got != 0.0 {
		t.Errorf("the new repository has %v runs", got)
	}
	if got := w.unchecked("PATCH", "/api/v3/repos/acme/site", map[string]any{"name": "web"}); got != http.StatusUnprocessableEntity {
		t.Errorf("a name that is taken: %d", got)
	}
}

func TestTransfer(t *testing.T) {
	w := newWorld(t)
	l := w.listen(t)
	w.push(one)
	before := l.news()[0]
	w.api(http.StatusAccepted, "POST", "/repos/acme/web/transfer", map[string]any{"new_owner": "other"})
	w.runNextOf("other/web", "succeeded", nil, "linux", "x64")
	for _, p := range l.news() {
		if p.Repository.FullName != "other/web" || p.Repository.ID != before.Repository.ID {
			t.Errorf("%s is of %+v", p.Action, p.Repository)
		}
	}
	if got := len(l.of("repository", "transferred")); got != 1 {
		t.Errorf("%d deliveries of the transfer", got)
	}
}

// TestRedeliveryEndsAfterThreeDays: an older delivery is unknown.
func TestRedeliveryEndsAfterThreeDays(t *testing.T) {
	w := newWorld(t)
	r := newReceiver(t)
	hook := w.webhook(r)
	w.push(one)
	w.settled()
	base := fmt.Sprintf("/repos/acme/web/hooks/%d/deliveries", hook)
	list := w.api(http.StatusOK, "GET", base, nil).list
	path := fmt.Sprintf("%s/%.0f", base, list[0].(map[string]any)["id"])
	w.clock.advance(3 * 24 * time.Hour)
	w.api(http.StatusAccepted, "POST", path+"/attempts", nil)
	w.settled()
	w.clock.advance(time.Second)
	w.api(http.StatusNotFound, "POST", path+"/attempts", nil)
	w.api(http.StatusNotFound, "GET", path, nil)
	if got := len(w.api(http.StatusOK, "GET", base, nil).list); got != 1 { // the redelivery is a new one
		t.Errorf("%d deliveries are known, want that of just now", got)
	}
}
