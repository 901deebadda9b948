// Package metrics publishes what one machine does as Prometheus metrics.
//
// Everything is read when it is scraped: a [Reading] is one look at the machine, and every metric is a
// function of it, so it cannot disagree with the ledger or the bus. Only a [Flow] counts: what the ledger
// did since the process began, which nothing keeps.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// A Reading is one look at the machine.
type Reading struct {
	At          time.Time
	Version     string // of mayfly
	Webhook     webhook.Counts
	Bus         *bus.Counters
	Rules       []string           // of the bus
	Backlogs    []eventlog.Backlog // of the rules that have one
	DeadLetters map[string]int     // by rule, of the rules that have some
	Quarantined int
	Replays     []eventlog.Replay
	Ledger      ledger.Figures
	Unroutable  int // jobs; the ledger's figures have only unsettled ones
	Hosted      int // jobs, as Unroutable
	Images      *image.Catalog
	Host        pool.Resources // capacity for runners
}

// Handler serves the metrics of read, and those of the Go runtime and the process. If read fails, so does
// the scrape: a metric that reads 0 because the database is locked would be a false all-clear.
func Handler(read func(context.Context) (Reading, error), flow *Flow, log *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(flow.collectors()...)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collector{read})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4,
	})
}

// collector implements prometheus.Collector.
type collector struct {
	read func(context.Context) (Reading, error)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range metrics {
		to <- m.desc()
	}
}

// collectLimit bounds a reading: Prometheus gives up after 10 seconds by default.
const collectLimit = 9 * time.Second

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectLimit)
	defer cancel()
	r, err := c.read(ctx)
	for _, m := range metrics {
		if err != nil {
			to <- prometheus.NewInvalidMetric(m.desc(), err)
			continue
		}
		for _, p := range m.points(r) {
			to <- prometheus.MustNewConstMetric(m.desc(), m.kind, p.value, p.labels...)
		}
	}
}

// Names returns the names of all metrics, for tests of what alert rules and dashboards refer to.
func Names() (names []string) {
	for _, m := range metrics {
		names = append(names, m.name)
	}
	descriptions := make(chan *prometheus.Desc, 16)
	for _, c := range NewFlow().collectors() {
		c.Describe(descriptions)
		names = append(names, fqName.FindStringSubmatch((<-descriptions).String())[1])
	}
	return names
}

// fqName finds the name in the text of a description, which has no other way to tell it.
var fqName = regexp.MustCompile(`fqName: "(\w+)"`)
