package machine

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine/metrics"
	"github.com/mayfly-ci/mayfly/internal/serve"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// serveMetrics serves /metrics at its own address, if one is configured, until ctx ends.
func (m *Machine) serveMetrics(ctx context.Context) error {
	if m.config.Metrics.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", m.config.Metrics.Listen)
	if err != nil {
		return cli.HintIfNone(err, "something else listens there: choose another address with metrics.listen in the configuration")
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(m.readMetrics, m.flow, m.config.Log))
	m.vitals.routes(mux)
	m.config.Log.Info("serving metrics", "metrics", "http://"+l.Addr().String()+"/metrics")
	return serve.Until(ctx, webhook.Server(mux, m.config.Log), l)
}

// maxCounted bounds the unroutable and hosted jobs that a scrape reads: finished ones are not counted in memory.
const maxCounted = 1000

// readMetrics reads what the metrics show.
func (m *Machine) readMetrics(ctx context.Context) (r metrics.Reading, err error) {
	var errs [8]error
	var state *ledger.State
	r = metrics.Reading{
		At: time.Now(), Version: m.config.Version, Webhook: m.hook.Counts(), Bus: &m.bus.Counters, Rules: m.bus.Rules(),
	}
	if state, errs[0] = m.ledger.Snapshot(ctx); state != nil {
		r.Ledger, r.Host = state.Figures(), state.Limits().Host
	}
	r.Backlogs, errs[1] = bus.Backlogs(ctx, m.db)
	r.DeadLetters, errs[2] = bus.CountDeadLetters(ctx, m.db)
	r.Quarantined, errs[3] = bus.CountQuarantined(ctx, m.db)
	r.Replays, errs[4] = bus.Replays(ctx, m.db)
	r.Images, errs[5] = m.images.store.Catalog(ctx)
	r.Unroutable, errs[6] = m.countJobs(ctx, ledger.JobUnroutable)
	r.Hosted, errs[7] = m.countJobs(ctx, ledger.JobHosted)
	return r, errors.Join(errs[:]...)
}

// countJobs counts the newest jobs in state, up to maxCounted.
func (m *Machine) countJobs(ctx context.Context, state ledger.JobState) (int, error) {
	jobs, err := m.ledger.Jobs(ctx, ledger.JobQuery{States: []ledger.JobState{state}, Limit: maxCounted})
	return len(jobs), err
}
