package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// scrape reads the metrics of the world's mayfly, as Prometheus does.
func (w *world) scrape(t *testing.T) map[string]string {
	t.Helper()
	address := regexp.MustCompile(`metrics=(http://\S+)`).FindStringSubmatch(w.up.whole())
	if address == nil {
		t.Fatalf("the log does not say where metrics are:\n%s", w.up.said())
	}
	resp, err := http.Get(address[1])
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v\n%s", resp.Status, err, text)
	}
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "mayfly_") {
			t.Errorf("metric %s: %s", p.Metric, p.Text)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok {
			values[name+"}"] = value
		} else if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			values[name] = value
		}
	}
	return values
}

// TestMetrics has one of each happen to a real mayfly up, and scrapes.
func TestMetrics(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	rest := "metrics: {listen: \"127.0.0.1:0\"}\nrules: [{name: broken, pattern: {detail-type: [ping]}, target: command, command: [sh, -c, exit 65]}]\n"
	if err := os.WriteFile(w.config(), []byte(w.yaml()+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	w.push(t, map[string]string{".github/workflows/one.yml": workflow(1, "true")})
	w.completed(t, 1, time.Minute)
	w.nothingLeft(t, 30*time.Second)
	w.deliver(t, event.TypeWorkflowJob, []byte(oddJob))
	w.deliver(t, event.TypeWorkflowJob, []byte(strings.Replace(fitJob, `"linux"`, `"no-such-pool"`, 1)))
	w.deliver(t, "ping", []byte(`{"zen":"Anything added dilutes everything else."}`))
	resp, err := http.Post(w.hookURL(), "application/json", strings.NewReader("{}"))
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("unsigned: %v, %v", resp, err)
	}
	resp.Body.Close()
	values := w.scrape(t)
	settled := func() bool {
		return values[`mayfly_dead_letters{rule="broken"}`] == "1" && values[`mayfly_jobs{pool="",state="unroutable"}`] == "1"
	}
	for deadline := time.Now().Add(20 * time.Second); !settled() && time.Now().Before(deadline); {
		values = w.scrape(t)
	}
	for name, want := range map[string]string{
		fmt.Sprintf(`mayfly_build_info{version=%q}`, version):                   "1",
		`mayfly_webhook_deliveries_total{outcome="accepted",reason=""}`:         "[5-9]",
		`mayfly_webhook_deliveries_total{outcome="quarantined",reason=""}`:      "1",
		`mayfly_webhook_deliveries_total{outcome="known",reason=""}`:            "0",
		`mayfly_webhook_deliveries_total{outcome="refused",reason="signature"}`: "1",
		`mayfly_webhook_deliveries_total{outcome="refused",reason="disk full"}`: "0",
		`mayfly_events_published_total`:                                         `[0-9]+`,
		`mayfly_bus_deliveries_total{outcome="given up"}`:                       "1",
		`mayfly_bus_deliveries_total{outcome="delivered"}`:                      `[1-9][0-9]*`,
		`mayfly_dead_letters{rule="broken"}`:                                    "1",
		`mayfly_dead_letters{rule="jobs"}`:                                      "0",
		`mayfly_quarantined_deliveries`:                                         "1",
		`mayfly_image_alarms{kind="refused"}`:                                   "0",
		`mayfly_replays_running`:                                                "0",
		`mayfly_rule_backlog{rule="launch"}`:                                    "0",
		`mayfly_rule_failing{rule="broken"}`:                                    "0",
		`mayfly_rule_oldest_seconds{rule="broken"}`:                             "0",
		`mayfly_jobs{pool="",state="unroutable"}`:                               "1",
		`mayfly_jobs{pool="",state="hosted"}`:                                   "0",
		`mayfly_jobs{pool="small",state="queued"}`:                              "0",
		`mayfly_runners{pool="small",state="busy"}`:                             "0",
		`mayfly_ledger_unreadable_rows`:                                         "0",
		`mayfly_oldest_waiting_job_seconds`:                                     "0",
		`go_goroutines`:                                                         `[0-9]+`,
		`process_open_fds`:                                                      `[0-9]+`,
	} {
		if got := values[name]; !regexp.MustCompile("^(" + want + ")$").MatchString(got) {
			t.Errorf("%s = %q, want %s", name, got, want)
		}
	}
	if out, _, _ := tooltest.Mayfly(t, "status", "--config", w.config()); !strings.Contains(out, "acme/web/7/1") {
		t.Errorf("status does not show the job that fits no pool:\n%s", out)
	}
	w.up.stop(t)
}

// TestMetricsAddressInUse has something else listen there.
func TestMetricsAddressInUse(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	w := newWorld(t, worldConfig{})
	rest := fmt.Sprintf("metrics: {listen: %q}\n", strings.TrimPrefix(w.simURL, "http://"))
	if err := os.WriteFile(w.config(), []byte(w.yaml()+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	<-w.up.ended
	if said := w.up.said(); !strings.Contains(said, "hint: something else listens there: choose another address with metrics.listen") {
		t.Errorf("mayfly up says\n%s", said)
	}
}
