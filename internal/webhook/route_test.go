package webhook_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// TestQuarantine sends deliveries that routing cannot do without a guess: each is kept,
// untouched and with the reason, and none is on the bus.
func TestQuarantine(t *testing.T) {
	for body, reason := range map[string]string{
		`{"action":"queued"}`: "workflow_job.id is missing",
		`{"action":"queued","workflow_job":{"id":7,"labels":["linux"]}}`:                                                              `repository.full_name ""`,
		`{"action":"queued","workflow_job":{"id":"7","labels":["linux"]},"repository":{"full_name":"acme/web"}}`:                      `workflow_job.id "7": want an integer`,
		`{"action":"queued","workflow_job":{"id":4611686018427387904,"labels":["linux"]},"repository":{"full_name":"acme/web"}}`:      "workflow_job.id 4611686018427387904: want an integer",
		`{"action":"queued","workflow_job":{"id":-7,"labels":["linux"]},"repository":{"full_name":"acme/web"}}`:                       "workflow_job.id -7: want an integer",
		`{"action":"queued","workflow_job":{"id":7,"run_attempt":-1,"labels":["linux"]},"repository":{"full_name":"acme/web"}}`:       "workflow_job.run_attempt -1: want an integer",
		`{"action":"queued","workflow_job":null,"repository":{"full_name":"acme/web"},"sender":{"login":"x"}}`:                        "workflow_job.id is missing",
		`{"action":"queued","workflow_job":{"id":7},"repository":{"full_name":"acme/web"}}`:                                           "labels is missing",
		`{"action":"waiting","workflow_job":{"id":7,"labels":null},"repository":{"full_name":"acme/web"}}`:                            "labels is missing",
		`{"action":"queued","workflow_job":{"id":7,"labels":"linux"},"repository":{"full_name":"acme/web"}}`:                          "cannot unmarshal string",
		`{"action":"queued","workflow_job":{"id":7,"labels":[{"name":"linux"}]},"repository":{"full_name":"acme/web"}}`:               "cannot unmarshal object",
		`{"action":"queued","workflow_job":{"id":7,"labels":["linux"]},"repository":{"full_name":"web"}}`:                             "want owner/name",
		`{"workflow_job":{"id":7,"labels":["linux"]},"repository":{"full_name":"acme/web"},"something":"else"}`:                       "action is missing",
		`{"action":{"is":"queued"},"workflow_job":{"id":7,"labels":["linux"]},"repository":{"full_name":"acme/web"},"new":{"a":[1]}}`: "cannot unmarshal object",
	} {
		var aside event.Event
		known := false
		h, b := newHandler(t, func(c *webhook.Config) {
			c.Quarantine = func(_ context.Context, e event.Event, why string) (fresh bool, err error) {
				if !strings.Contains(why, reason) {
					t.Errorf("%s: in quarantine for %q, want %q", body, why, reason)
				}
				fresh, known, aside = !known, true, e
				return fresh, nil
			}
		})
		addr := serve(t, h)
		got := do(t, delivery(addr, "workflow_job", "d-1", []byte(body)))
		if got.Status != 202 || got.Pool != "" || !strings.Contains(got.Note, "in quarantine: ") || !strings.Contains(got.Note, reason) {
			t.Errorf("%s: %+v, want 202 and a note with %q", body, got, reason)
		}
		if aside.ID != "d-1" || aside.DetailType != "workflow_job" || string(aside.Detail) != body || len(b.kept) != 0 {
			t.Errorf("%s: in quarantine %+v, on the bus %v", body, aside, b.kept)
		}
		if got := do(t, delivery(addr, "workflow_job", "d-1", []byte(body))); got.Status != 200 {
			t.Errorf("%s again: %+v, want 200", body, got)
		}
		if c := h.Counts(); c.Quarantined != 1 || c.Duplicate != 1 || c.Accepted != 0 {
			t.Errorf("counts %+v", c)
		}
	}
}

// TestNoQuarantine keeps what is no JSON object out of quarantine, and what a disk that is
// full cannot keep is said to be.
func TestNoQuarantine(t *testing.T) {
	h, _ := newHandler(t, func(c *webhook.Config) {
		c.Quarantine = func(context.Context, event.Event, string) (bool, error) { return false, errFull }
	})
	addr := serve(t, h)
	for body, status := range map[string]int{
		"[]": 400, "null": 400, "": 400, `"queued"`: 400, `{"action":"queued"`: 400, `{"action":"queued"} {}`: 400,
		"{}": 503,
	} {
		if got := do(t, delivery(addr, "workflow_job", "d-1", []byte(body))); got.Status != status {
			t.Errorf("%s: %+v, want %d", body, got, status)
		}
	}
	if got := do(t, delivery(addr, "ping", "d-2", []byte(`{"repository":"acme/web"}`))); got.Status != 503 {
		t.Errorf("ping with an odd repository: %+v, want 503", got)
	}
}
