package metrics

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Flow is what went through the ledger since the process began: how long jobs waited, and how they and their runners
// ended. It counts what the ledger reports as moves, each once, so it agrees with the histories of jobs.
type Flow struct {
	running, started, listening *prometheus.HistogramVec // by pool
	jobs                        *prometheus.CounterVec   // by pool and conclusion
	runners                     *prometheus.CounterVec   // by pool and reason
	launches, claims            *prometheus.CounterVec   // by pool
}

// waits are bounds of histograms, in seconds: a warm runner has the job at once, a full pool after hours.
var waits = []float64{1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300, 600, 1800, 3600, 10800}

// NewFlow returns a Flow that has seen nothing.
func NewFlow() *Flow {
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: waits}, []string{"pool"})
	}
	counted := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"pool"}, labels...))
	}
	return &Flow{
		running:   histogram("mayfly_job_queued_to_running_seconds", "How long jobs waited, from queued at the forge to running."),
		started:   histogram("mayfly_job_queued_to_started_seconds", "How long jobs waited until the container of their first runner ran."),
		listening: histogram("mayfly_runner_start_seconds", "How long runners took, from wanted to listening for a job."),
		jobs:      counted("mayfly_jobs_completed_total", "Jobs that completed, by their conclusion.", "conclusion"),
		runners:   counted("mayfly_runners_ended_total", "Runners that ended, by the reason: "+meanings()+".", "reason"),
		launches:  counted("mayfly_launches_total", "Runners whose container was asked for."),
		claims:    counted("mayfly_claims_total", "Runners whose claim was granted."),
	}
}

func (f *Flow) collectors() []prometheus.Collector {
	return []prometheus.Collector{f.running, f.started, f.listening, f.jobs, f.runners, f.launches, f.claims}
}

// Observe counts the moves of a result. It may be called from several goroutines.
func (f *Flow) Observe(result ledger.Result) {
	for _, m := range result.Moves {
		if m.Runner.Name != "" {
			f.runner(m.Runner, result.Jobs)
		} else {
			f.job(m.Job)
		}
	}
}

func (f *Flow) job(j ledger.Job) {
	switch j.State {
	case ledger.JobRunning:
		observe(f.running, j.Pool, j.Queued, j.Started)
	case ledger.JobCompleted:
		f.jobs.WithLabelValues(j.Pool, j.Conclusion).Inc()
	}
}

// runner counts a move of r. Jobs are those that changed with it.
func (f *Flow) runner(r ledger.Runner, jobs []ledger.Job) {
	switch r.State {
	case ledger.RunnerStarting:
		f.launches.WithLabelValues(r.Pool).Inc()
	case ledger.RunnerClaimed:
		f.claims.WithLabelValues(r.Pool).Inc()
		for _, j := range jobs {
			if j.Key == r.MadeFor && j.Runners == 1 {
				observe(f.started, r.Pool, j.Queued, r.Started)
			}
		}
	case ledger.RunnerIdle:
		observe(f.listening, r.Pool, r.Made, r.Listened)
	case ledger.RunnerGone:
		f.runners.WithLabelValues(r.Pool, reason(r)).Inc()
	}
}

// observe adds the time between two moments, of which the forge's clock may have told the second. One that is not known is not counted.
func observe(h *prometheus.HistogramVec, pool string, from, to time.Time) {
	if !from.IsZero() && !to.IsZero() {
		h.WithLabelValues(pool).Observe(max(0, to.Sub(from).Seconds()))
	}
}

// reasons are the values of the label reason, with what they mean.
var reasons = map[string]string{
	"job":       "it ran a job",
	"surplus":   "it was not needed any more",
	"idle":      "the forge gave it no job within the idle limit",
	"memory":    "the kernel killed it for memory, and no job ran",
	"unplaced":  "no host had room for it",
	"refused":   "the forge refused to register it",
	"version":   "the forge refuses its version",
	"late":      "it missed a deadline",
	"outside":   "it was stopped from outside, or its host ended",
	"withdrawn": "its job ended before it had it",
	"failed":    "any other failure",
}

func meanings() string {
	var list []string
	for _, r := range slices.Sorted(maps.Keys(reasons)) {
		list = append(list, r+" ("+reasons[r]+")")
	}
	return strings.Join(list, ", ")
}

// reason classifies the end of r: the first of these that holds.
func reason(r ledger.Runner) string {
	switch {
	case !r.Runs.IsZero():
		return "job"
	case r.Spare:
		return "surplus"
	case r.Unplaced:
		return "unplaced"
	case r.Refused:
		return "refused"
	case r.ExitCode == agent.ExitDeprecated:
		return "version"
	case r.Memory.Kills > 0:
		return "memory"
	case r.Late:
		return "late"
	case r.Outside:
		return "outside"
	case r.Leaving != "":
		return "withdrawn"
	case r.ExitCode == 0 && !r.Listened.IsZero():
		return "idle"
	}
	return "failed"
}
