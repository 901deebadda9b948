package githubsim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A listener hears what a webhook is told of jobs, step by step.
type listener struct {
	*receiver
	w    *world
	seen int
}

func (w *world) listen(t *testing.T) *listener {
	r := newReceiver(t)
	w.webhook(r)
	t.Cleanup(func() { // before the receiver goes
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := w.WaitDelivered(ctx); err != nil {
			t.Error(err)
		}
	})
	return &listener{receiver: r, w: w}
}

// A jobDelivery is what a delivery says of a job.
type jobDelivery struct {
	Action string
	Job    struct {
		ID         int64
		RunID      int64 `json:"run_id"`
		Name       string
		Status     string
		Conclusion *string
		Attempt    int      `json:"run_attempt"`
		RunnerID   *int64   `json:"runner_id"`
		Runner     *string  `json:"runner_name"`
		Group      *string  `json:"runner_group_name"`
		Labels     []string `json:"labels"`
	} `json:"workflow_job"`
	Deployment *struct {
		Environment string
		ID          int64
	}
	Repository struct {
		ID       int64
		FullName string `json:"full_name"`
	}
}

// news gives the deliveries about jobs since the last call. They come in no strict
// order, as at GitHub.
func (l *listener) news() []jobDelivery {
	l.w.t.Helper()
	l.w.settled()
	all := l.of("workflow_job", "")
	var out []jobDelivery
	for _, d := range all[l.seen:] {
		var p jobDelivery
		if err := json.Unmarshal(d.body, &p); err != nil {
			l.w.t.Fatal(err)
		}
		out = append(out, p)
	}
	l.seen = len(all)
	return out
}

// told gives the news as "name: action, status or conclusion", sorted.
func (l *listener) told() []string {
	l.w.t.Helper()
	out := []string{}
	for _, p := range l.news() {
		state := p.Job.Status
		if p.Job.Conclusion != nil {
			state = *p.Job.Conclusion
		}
		out = append(out, fmt.Sprintf("%s: %s, %s", p.Job.Name, p.Action, state))
	}
	slices.Sort(out)
	return out
}

// expect compares what was told since the last call.
func (l *listener) expect(want ...string) {
	l.w.t.Helper()
	slices.Sort(want)
	if want == nil {
		want = []string{}
	}
	if d := cmp.Diff(want, l.told()); d != "" {
		l.w.t.Errorf("deliveries about jobs (-want +got):\n%s", d)
	}
}

// text gives v as JSON.
func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // it came from JSON
	}
	return string(data)
}
