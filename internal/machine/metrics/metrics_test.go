package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine/metrics"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// scrape returns the status and the lines of Mayfly's own metrics.
func scrape(t *testing.T, flow *metrics.Flow, read func(context.Context) (metrics.Reading, error)) (int, []string) {
	t.Helper()
	w := httptest.NewRecorder()
	metrics.Handler(read, flow, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	problems, err := promlint.New(bytes.NewReader(w.Body.Bytes())).Lint()
	if err != nil && w.Code == http.StatusOK {
		t.Error(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "mayfly_") {
			t.Errorf("metric %s: %s", p.Metric, p.Text)
		}
	}
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "mayfly_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return w.Code, lines
}

// TestScrape holds a scrape against the reading it shows, zeros included.
func TestScrape(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	counters := &bus.Counters{}
	counters.Published.Add(7)
	reading := metrics.Reading{
		At: now, Version: "1.2.3", Bus: counters, Rules: []string{"runner", "check"},
		Webhook:     webhook.Counts{Accepted: 5, Refused: map[string]int64{"signature": 2}},
		Backlogs:    []eventlog.Backlog{{Rule: "check", Pending: 3, Failing: 1, Oldest: now.Add(-time.Minute)}},
		DeadLetters: map[string]int{"runner": 4}, Quarantined: 6, Replays: []eventlog.Replay{{State: eventlog.ReplayRunning}, {State: eventlog.ReplayCompleted}},
		Unroutable: 8, Hosted: 9, Images: &image.Catalog{}, Host: pool.Resources{CPUs: 2, Memory: 4096},
		Ledger: ledger.Figures{
			Pools: []ledger.PoolFigures{{
				Pool: "small", Max: 20, Jobs: map[ledger.JobState]int{ledger.JobQueued: 2}, Runners: map[ledger.RunnerState]int{ledger.RunnerBusy: 1},
			}},
			OldestQueued: now.Add(-90 * time.Second), Unreadable: 1,
		},
	}
	code, lines := scrape(t, metrics.NewFlow(), func(context.Context) (metrics.Reading, error) { return reading, nil })
	if code != http.StatusOK {
		t.Errorf("status %d: want 200", code)
	}
	for _, want := range []string{
		`mayfly_build_info{version="1.2.3"} 1`, `mayfly_events_published_total 7`,
		`mayfly_webhook_deliveries_total{outcome="accepted",reason=""} 5`, `mayfly_webhook_deliveries_total{outcome="refused",reason="signature"} 2`,
		`mayfly_dead_letters{rule="runner"} 4`, `mayfly_dead_letters{rule="check"} 0`, `mayfly_quarantined_deliveries 6`, `mayfly_replays_running 1`,
		`mayfly_rule_backlog{rule="check"} 3`, `mayfly_rule_failing{rule="check"} 1`, `mayfly_rule_oldest_seconds{rule="check"} 60`, `mayfly_rule_backlog{rule="runner"} 0`,
		`mayfly_jobs{pool="small",state="queued"} 2`, `mayfly_jobs{pool="small",state="running"} 0`,
		`mayfly_jobs{pool="",state="unroutable"} 8`, `mayfly_jobs{pool="",state="hosted"} 9`,
		`mayfly_runners{pool="small",state="busy"} 1`, `mayfly_runners{pool="small",state="idle"} 0`,
		`mayfly_pool_max{pool="small"} 20`, `mayfly_host_cpus 2`, `mayfly_host_memory_bytes 4096`,
		`mayfly_oldest_waiting_job_seconds 90`, `mayfly_ledger_unreadable_rows 1`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("the scrape lacks %s:\n%s", want, strings.Join(lines, "\n"))
		}
	}
}

// TestUnreadable: what cannot be read fails the scrape, rather than to read 0.
func TestUnreadable(t *testing.T) {
	code, lines := scrape(t, metrics.NewFlow(), func(context.Context) (metrics.Reading, error) {
		return metrics.Reading{}, errors.New("database is locked")
	})
	if code != http.StatusInternalServerError || len(lines) > 0 {
		t.Errorf("status %d and %v of a machine that cannot be read: want 500 and nothing", code, lines)
	}
}

// TestAlertRules checks that alert rules, Grafana's board and docs are about existing metrics.
func TestAlertRules(t *testing.T) {
	known := metrics.Names()
	for file, least := range map[string]int{"deploy/alerts.yaml": 9, "deploy/grafana.json": 15, "docs/operate.md": 0} {
		text, err := os.ReadFile("../../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`mayfly_[a-z_]*[a-z]`).FindAllString(string(text), -1)
		for _, name := range names {
			if !slices.Contains(known, strings.TrimSuffix(name, "_bucket")) {
				t.Errorf("%s is about %s, which is no metric", file, name)
			}
		}
		if len(names) < least {
			t.Errorf("%d metrics in %s: want more, or this tests nothing", len(names), file)
		}
	}
}
