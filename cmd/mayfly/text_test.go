package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// evil is what names may have: text that turns round, is not seen, or ends the line.
const evil = "safe\u202egnp\u2066x\u2069 ad\u200bmin\u2028next\nerror: forged\x1b[31m"

// evilJob is a delivery of a job with such names, that fits a pool or none.
func evilJob(t *testing.T, id int, labels ...string) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"action": "queued",
		"workflow_job": map[string]any{
			"id": id, "run_id": 1, "run_attempt": 1, "status": "queued", "labels": labels,
			"name": evil, "workflow_name": evil, "head_branch": evil, "html_url": "https://github.com/" + evil,
		},
		"repository": map[string]any{"full_name": worldRepository, "name": "web", "owner": map[string]any{"login": "acme"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// wantHarmless looks for what must not be printed, and for what is too much.
func wantHarmless(t *testing.T, what, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%s prints %q", what, r)
			break
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "error: forged") {
			t.Errorf("%s prints a line that a name has made", what)
		}
	}
	if len(text) > 50_000 {
		t.Errorf("%s prints %d bytes", what, len(text))
	}
}

// TestTextFromOutside sends names and labels that are made to deceive, or huge, through a real
// mayfly up, and looks at all that a person reads of them. JSON has them as they came.
func TestTextFromOutside(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	w.serve(t)
	huge := strings.Repeat("x", 2<<20)
	for i, labels := range [][]string{{worldLabel}, {evil}, {huge}} {
		if got := w.post(t, "workflow_job", evilJob(t, 100+i, labels...)); len(got) > 2000 {
			t.Errorf("%d bytes are answered to a label of %d", len(got), len(labels[0]))
		}
	}
	odd := strings.Replace(string(evilJob(t, 103)), `"labels":null`, fmt.Sprintf(`"labels":%q`, huge), 1)
	if got := w.post(t, "workflow_job", []byte(odd)); len(got) > 2000 {
		t.Errorf("%d bytes are answered to what goes to quarantine", len(got))
	}
	var jobs []ledger.Job
	for deadline := time.Now().Add(time.Minute); len(jobs) < 3 && time.Now().Before(deadline); {
		jobs = tooltest.JSON[[]ledger.Job](t, "jobs", "--json", "--state", w.state())
	}
	for _, j := range jobs {
		if j.Name != evil {
			t.Errorf("JSON has the name %q, want %q", j.Name, evil)
		}
	}
	held := tooltest.JSON[[]eventlog.Quarantined](t, "quarantine", "list", "--json", "--state", w.state())
	if len(held) != 1 || len(held[0].Reason) > 1000 {
		t.Errorf("%d in quarantine", len(held))
	}
	for _, args := range []string{
		"jobs", "jobs acme/web/100/1", "jobs acme/web/101/1", "jobs acme/web/102/1", "runners --all", "status", "events", "quarantine list", "schema list", "dlq list",
	} {
		out, errs, _ := tooltest.Mayfly(t, append(strings.Fields(args), "--state", w.state())...)
		wantHarmless(t, "mayfly "+args, out+errs)
	}
	out, _, _ := tooltest.Mayfly(t, "jobs", "acme/web/100/1", "--state", w.state())
	if want := `safe\u202egnp\u2066x\u2069 ad\u200bmin\u2028next\nerror: forged\u001b[31m`; !strings.Contains(out, want) {
		t.Errorf("the job's page has no %s:\n%s", want, out)
	}
	w.up.stop(t)
	wantHarmless(t, "the log", w.up.whole())
}
