package metrics

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A metric is a name, its meaning, and how its points follow from a reading.
type metric struct {
	name, help string
	labels     []string
	kind       prometheus.ValueType
	points     func(Reading) []point
}

func (m metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.name, m.help, m.labels, nil) }

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
		func(r Reading) []point { return []point{{1, []string{r.Version}}} }},
	{"mayfly_webhook_deliveries_total", "Deliveries by how they were answered; those refused with the reason.", []string{"outcome", "reason"}, counter, answers},
	{"mayfly_events_published_total", "Events that came on the bus.", nil, counter,
		func(r Reading) []point { return one(r.Bus.Published.Load()) }},
	{"mayfly_events_known_total", "Events that the bus knew by their ids, so that nothing was done.", nil, counter,
		func(r Reading) []point { return one(r.Bus.Duplicates.Load()) }},
	{"mayfly_bus_deliveries_total", "Attempts to deliver events to targets of rules, by what came of them.", []string{"outcome"}, counter, attempts},
	{"mayfly_replayed_deliveries_total", "Deliveries that replays made.", nil, counter,
		func(r Reading) []point { return one(r.Bus.Replayed.Load()) }},
	{"mayfly_replays_running", "Replays that run.", nil, gauge, runningReplays},
	{"mayfly_dead_letters", "Dead letters that are there: deliveries that were given up. Alert on more than 0.", []string{"rule"}, gauge, deadLetters},
	{"mayfly_quarantined_deliveries", "Deliveries in quarantine, for lack of what routing needs. Alert on more than 0.", nil, gauge,
		func(r Reading) []point { return one(r.Quarantined) }},
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
	{"mayfly_pool_max", "Runners that a pool has at most; not there for a pool without a limit.", []string{"pool"}, gauge, poolMax},
	{"mayfly_host_cpus", "Processors that all runners share.", nil, gauge, func(r Reading) []point { return []point{{value: r.Host.CPUs}} }},
	{"mayfly_host_memory_bytes", "Memory that all runners share.", nil, gauge, func(r Reading) []point { return one(r.Host.Memory) }},
	{"mayfly_oldest_waiting_job_seconds", "How long the oldest queued job has waited; 0 when none is.", nil, gauge, oldestWaiting},
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

func answers(r Reading) []point {
	c := r.Webhook
	list := []point{
		{float64(c.Accepted), []string{"accepted", ""}}, {float64(c.Duplicate), []string{"known", ""}},
		{float64(c.Ignored), []string{"ignored", ""}}, {float64(c.Quarantined), []string{"quarantined", ""}},
	}
	for reason, n := range c.Refused {
		list = append(list, point{float64(n), []string{"refused", reason}})
	}
	return list
}

func attempts(r Reading) []point {
	c := r.Bus
	return []point{
		{float64(c.Delivered.Load()), []string{"delivered"}}, {float64(c.Retried.Load()), []string{"retried"}},
		{float64(c.Dead.Load()), []string{"given up"}},
	}
}

func runningReplays(r Reading) []point {
	n := 0
	for _, replay := range r.Replays {
		if replay.State == eventlog.ReplayRunning {
			n++
		}
	}
	return one(n)
}

func deadLetters(r Reading) (list []point) {
	counts := map[string]int{}
	for _, rule := range r.Rules {
		counts[rule] = 0
	}
	maps.Copy(counts, r.DeadLetters)
	for rule, n := range counts {
		list = append(list, point{float64(n), []string{rule}})
	}
	return list
}

// backlog reads a figure of each rule's backlog.
func backlog(read func(b eventlog.Backlog, now time.Time) float64) func(r Reading) []point {
	return func(r Reading) (list []point) {
		byRule := map[string]eventlog.Backlog{}
		for _, rule := range r.Rules {
			byRule[rule] = eventlog.Backlog{}
		}
		for _, b := range r.Backlogs {
			byRule[b.Rule] = b
		}
		for rule, b := range byRule {
			list = append(list, point{read(b, r.At), []string{rule}})
		}
		return list
	}
}

func unreadable(r Reading) []point { return []point{{value: float64(r.Ledger.Unreadable)}} }

// jobs has a point for each pool and state, so that a series does not end when its count becomes 0.
func jobs(r Reading) []point {
	list := []point{
		{float64(r.Unroutable), []string{"", string(ledger.JobUnroutable)}}, {float64(r.Hosted), []string{"", string(ledger.JobHosted)}},
	}
	for _, p := range r.Ledger.Pools {
		for _, state := range []ledger.JobState{ledger.JobWaiting, ledger.JobQueued, ledger.JobRunning} {
			list = append(list, point{float64(p.Jobs[state]), []string{p.Pool, string(state)}})
		}
	}
	return list
}

func runners(r Reading) (list []point) {
	states := []ledger.RunnerState{ledger.RunnerWanted, ledger.RunnerStarting, ledger.RunnerClaimed, ledger.RunnerIdle, ledger.RunnerBusy}
	for _, p := range r.Ledger.Pools {
		for _, state := range states {
			list = append(list, point{float64(p.Runners[state]), []string{p.Pool, string(state)}})
		}
	}
	return list
}

func poolMax(r Reading) (list []point) {
	for _, p := range r.Ledger.Pools {
		if p.Max > 0 {
			list = append(list, point{float64(p.Max), []string{p.Pool}})
		}
	}
	return list
}

func currentImage(r Reading) []point {
	current, some := r.Images.Current()
	if !some {
		return nil
	}
	return []point{{1, []string{string(current.Digest), string(current.Version)}}}
}

func runwayDays(r Reading) []point {
	left, end := r.Images.Runway(r.At)
	if end.IsZero() {
		return nil
	}
	return []point{{value: left.Hours() / 24}}
}

func imageAlarms(r Reading) (list []point) {
	lasting := map[image.Kind]float64{
		image.KindRefused: 0, image.KindRunway: 0, image.KindNone: 0, image.KindBuild: 0, image.KindCanary: 0, image.KindFeed: 0,
	}
	for _, a := range r.Images.Alarms(r.At) {
		lasting[a.Kind] = 1
	}
	for kind, value := range lasting {
		list = append(list, point{value, []string{string(kind)}})
	}
	return list
}

func oldestWaiting(r Reading) []point { return []point{{value: r.Ledger.Waited(r.At).Seconds()}} }
