package machine

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// serveMetrics serves /metrics at an address of its own until ctx ends, where one is configured.
func (m *Machine) serveMetrics(ctx context.Context) error {
	if m.config.Metrics.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", m.config.Metrics.Listen)
	if err != nil {
		return cli.HintIfNone(err, "something else listens there: choose another address with metrics.listen in the configuration")
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), metricsOf{m})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(m.config.Log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4,
	}))
	m.vitals.routes(mux)
	m.config.Log.Info("serving metrics", "metrics", "http://"+l.Addr().String()+"/metrics")
	return serveUntil(ctx, webhook.Server(mux, m.config.Log), l)
}

// figures are what one look at the machine finds.
type figures struct {
	m           *Machine
	now         time.Time
	answered    webhook.Counts
	state       *ledger.State
	unroutable  []ledger.Job // the newest, which the state does not have
	hosted      []ledger.Job // as unroutable
	backlogs    []eventlog.Backlog
	letters     map[string]int // by rule
	quarantined int
	replays     []eventlog.Replay
	images      *image.Catalog
}

// look reads the figures.
func (m *Machine) look(ctx context.Context) (f figures, err error) {
	var errs [8]error
	f = figures{m: m, now: time.Now(), answered: m.hook.Counts()}
	f.state, errs[0] = m.ledger.Snapshot(ctx)
	f.backlogs, errs[1] = bus.Backlogs(ctx, m.db)
	f.letters, errs[2] = bus.CountDeadLetters(ctx, m.db)
	f.quarantined, errs[3] = bus.CountQuarantined(ctx, m.db)
	f.replays, errs[4] = bus.Replays(ctx, m.db)
	f.unroutable, errs[5] = m.ledger.Jobs(ctx, ledger.JobQuery{States: []ledger.JobState{ledger.JobUnroutable}, Limit: 1000})
	f.images, errs[6] = m.images.store.Catalog(ctx)
	f.hosted, errs[7] = m.ledger.Jobs(ctx, ledger.JobQuery{States: []ledger.JobState{ledger.JobHosted}, Limit: 1000})
	return f, errors.Join(errs[:]...)
}

// A metric is a name, what it means, and how it follows from the figures.
type metric struct {
	name, help string
	labels     []string
	kind       prometheus.ValueType
	read       func(f figures) []point
}

// A point is one value of a metric, with the values of its labels.
type point struct {
	value  float64
	labels []string
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// metrics is all there is besides what the Go runtime and the process tell.
var metrics = []metric{
	{"mayfly_build_info", "Version of mayfly; the value is 1.", []string{"version"}, gauge,
		func(f figures) []point { return []point{{1, []string{f.m.config.Version}}} }},
	{"mayfly_webhook_deliveries_total", "Deliveries by how they were answered; those refused with the reason.", []string{"outcome", "reason"}, counter, answers},
	{"mayfly_events_published_total", "Events that came on the bus.", nil, counter,
		func(f figures) []point { return one(f.m.bus.Counters.Published.Load()) }},
	{"mayfly_events_known_total", "Events that the bus knew by their ids, so that nothing was done.", nil, counter,
		func(f figures) []point { return one(f.m.bus.Counters.Duplicates.Load()) }},
	{"mayfly_bus_deliveries_total", "Attempts to deliver events to targets of rules, by what came of them.", []string{"outcome"}, counter, attempts},
	{"mayfly_replayed_deliveries_total", "Deliveries that replays made.", nil, counter,
		func(f figures) []point { return one(f.m.bus.Counters.Replayed.Load()) }},
	{"mayfly_replays_running", "Replays that run.", nil, gauge, runningReplays},
	{"mayfly_dead_letters", "Dead letters that are there: deliveries that were given up. Alert on more than 0.", []string{"rule"}, gauge, deadLetters},
	{"mayfly_quarantined_deliveries", "Deliveries in quarantine, for lack of what routing needs. Alert on more than 0.", nil, gauge,
		func(f figures) []point { return one(f.quarantined) }},
	{"mayfly_rule_backlog", "Deliveries that are pending for a rule.", []string{"rule"}, gauge,
		backlog(func(b eventlog.Backlog, _ time.Time) float64 { return float64(b.Pending) })},
	{"mayfly_rule_failing", "Pending deliveries of a rule that have failed and are tried again.", []string{"rule"}, gauge,
		backlog(func(b eventlog.Backlog, _ time.Time) float64 { return float64(b.Failing) })},
	{"mayfly_rule_oldest_seconds", "Age of the oldest pending delivery of a rule; 0 when nothing is pending.", []string{"rule"}, gauge,
		backlog(func(b eventlog.Backlog, now time.Time) float64 { return age(b.Oldest, now) })},
	{"mayfly_jobs", "Jobs that are not over, by pool and state; those that fit no pool are unroutable, or hosted where GitHub's own runners take them, the newest 1000 of each.", []string{"pool", "state"}, gauge, jobs},
	{"mayfly_runners", "Runners that are not gone, by pool and state.", []string{"pool", "state"}, gauge, runners},
	{"mayfly_runner_image_info", "The image that runners start from; the value is 1.", []string{"image", "runner"}, gauge, currentImage},
	{"mayfly_runner_runway_days", "Days until GitHub refuses the version of the runner; not there while no end is known. Alert on less than 7.", nil, gauge, runwayDays},
	{"mayfly_image_alarms", "Alarms of the image catalog, by kind: 1 while one lasts. Alert on more than 0.", []string{"kind"}, gauge, imageAlarms},
	{"mayfly_ledger_unreadable_rows", "Rows of the ledger that could not be read and are set aside: mayfly status names them.", nil, gauge, unreadable},
	{"mayfly_oldest_waiting_job_seconds", "How long the oldest queued job has waited; 0 when none is.", nil, gauge, oldestWaiting},
}

// metricsOf collects the metrics of a machine.
type metricsOf struct{ *Machine }

// Describe implements prometheus.Collector.
func (m metricsOf) Describe(to chan<- *prometheus.Desc) {
	for _, one := range metrics {
		to <- one.desc()
	}
}

func (m metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.name, m.help, m.labels, nil) }

// collectLimit is how long a look may take; who scrapes waits for 10 seconds by default.
const collectLimit = 9 * time.Second

// Collect implements prometheus.Collector. What cannot be read fails the scrape, so that it
// is not taken for nothing.
func (m metricsOf) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectLimit)
	defer cancel()
	f, err := m.look(ctx)
	for _, one := range metrics {
		if err != nil {
			to <- prometheus.NewInvalidMetric(one.desc(), err)
			continue
		}
		for _, s := range one.read(f) {
			to <- prometheus.MustNewConstMetric(one.desc(), one.kind, s.value, s.labels...)
		}
	}
}

// one is a metric without labels.
func one[N int | int64](n N) []point { return []point{{value: float64(n)}} }

// age is the seconds since a time; 0 for none.
func age(since, now time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(0, now.Sub(since).Seconds())
}

func answers(f figures) []point {
	c := f.answered
	list := []point{
		{float64(c.Accepted), []string{"accepted", ""}}, {float64(c.Duplicate), []string{"known", ""}},
		{float64(c.Ignored), []string{"ignored", ""}}, {float64(c.Quarantined), []string{"quarantined", ""}},
	}
	for reason, n := range c.Refused {
		list = append(list, point{float64(n), []string{"refused", reason}})
	}
	return list
}

func attempts(f figures) []point {
	c := &f.m.bus.Counters
	return []point{
		{float64(c.Delivered.Load()), []string{"delivered"}}, {float64(c.Retried.Load()), []string{"retried"}},
		{float64(c.Dead.Load()), []string{"given up"}},
	}
}

func runningReplays(f figures) []point {
	n := 0
	for _, r := range f.replays {
		if r.State == eventlog.ReplayRunning {
			n++
		}
	}
	return one(n)
}

func deadLetters(f figures) (list []point) {
	counts := map[string]int{}
	for _, rule := range f.m.bus.Rules() {
		counts[rule] = 0
	}
	maps.Copy(counts, f.letters)
	for rule, n := range counts {
		list = append(list, point{float64(n), []string{rule}})
	}
	return list
}

// backlog reads a figure of each rule's backlog.
func backlog(read func(b eventlog.Backlog, now time.Time) float64) func(f figures) []point {
	return func(f figures) (list []point) {
		byRule := map[string]eventlog.Backlog{}
		for _, rule := range f.m.bus.Rules() {
			byRule[rule] = eventlog.Backlog{}
		}
		for _, b := range f.backlogs {
			byRule[b.Rule] = b
		}
		for rule, b := range byRule {
			list = append(list, point{read(b, f.now), []string{rule}})
		}
		return list
	}
}

func unreadable(f figures) []point { return []point{{value: float64(len(f.state.Unreadable()))}} }

func jobs(f figures) []point {
	states := []ledger.JobState{ledger.JobWaiting, ledger.JobQueued, ledger.JobRunning}
	count := map[[2]string]int{{"", string(ledger.JobUnroutable)}: len(f.unroutable), {"", string(ledger.JobHosted)}: len(f.hosted)}
	for _, p := range f.m.pools() {
		for _, state := range states {
			count[[2]string{p.Name, string(state)}] = 0
		}
	}
	for j := range f.state.Jobs() {
		count[[2]string{j.Pool, string(j.State)}]++
	}
	return byPool(count)
}

func runners(f figures) []point {
	states := []ledger.RunnerState{ledger.RunnerWanted, ledger.RunnerStarting, ledger.RunnerClaimed, ledger.RunnerIdle, ledger.RunnerBusy}
	count := map[[2]string]int{}
	for _, p := range f.m.pools() {
		for _, state := range states {
			count[[2]string{p.Name, string(state)}] = 0
		}
	}
	for r := range f.state.Runners() {
		count[[2]string{r.Pool, string(r.State)}]++
	}
	return byPool(count)
}

func currentImage(f figures) []point {
	current, some := f.images.Current()
	if !some {
		return nil
	}
	return []point{{1, []string{string(current.Digest), string(current.Version)}}}
}

func runwayDays(f figures) []point {
	left, end := f.images.Runway(f.now)
	if end.IsZero() {
		return nil
	}
	return []point{{value: left.Hours() / 24}}
}

func imageAlarms(f figures) (list []point) {
	lasting := map[image.Kind]float64{
		image.KindRefused: 0, image.KindRunway: 0, image.KindNone: 0, image.KindBuild: 0, image.KindCanary: 0, image.KindFeed: 0,
	}
	for _, a := range f.images.Alarms(f.now) {
		lasting[a.Kind] = 1
	}
	for kind, value := range lasting {
		list = append(list, point{value, []string{string(kind)}})
	}
	return list
}

func byPool(count map[[2]string]int) (list []point) {
	for labels, n := range count {
		list = append(list, point{float64(n), []string{labels[0], labels[1]}})
	}
	return list
}

func oldestWaiting(f figures) []point {
	var oldest time.Time
	for j := range f.state.Jobs() {
		if j.State == ledger.JobQueued && (oldest.IsZero() || j.Queued.Before(oldest)) {
			oldest = j.Queued
		}
	}
	return []point{{value: age(oldest, f.now)}}
}
