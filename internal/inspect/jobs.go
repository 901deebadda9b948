package inspect

import (
	"context"
	"errors"
	"time"

	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A Job is a job with the answer to why it stands where it stands.
type Job struct {
	ledger.Job
	Why    string         `json:"why"`
	Memory pool.MemoryUse `json:"memory,omitzero"` // of its runner, where one job is asked for
}

// Jobs returns the jobs that q picks, the newest first. A job that q names by its key comes with
// the memory of its runner; [ledger.ErrNotFound] when it is not known.
func (s *Source) Jobs(ctx context.Context, q ledger.JobQuery, now time.Time) ([]Job, error) {
	jobs, err := s.Ledger.Jobs(ctx, q)
	if err != nil {
		return nil, err
	}
	state, err := s.Ledger.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	images, err := s.Images(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]Job, len(jobs))
	for i, j := range jobs {
		views[i] = jobOf(state, images, j, now)
	}
	if !q.Key.IsZero() {
		views[0].Memory, err = s.memoryOf(ctx, jobs[0])
	}
	return views, err
}

// jobOf says why j stands where it stands: what the ledger knows, and what the image of
// its runners has to do with it.
func jobOf(state *ledger.State, images *image.Catalog, j ledger.Job, now time.Time) Job {
	v := Job{Job: j, Why: state.Why(j, now)}
	if len(state.Limits().Pools) == 0 && !j.Settled() {
		v.Why = LimitsUnknown
	}
	p, ok := state.Limits().Pools.Find(j.Pool)
	if j.State != ledger.JobQueued || !ok || p.Image != "" {
		return v
	}
	for _, a := range images.Alarms(now) {
		if a.Kind == image.KindRefused || a.Kind == image.KindNone {
			v.Why += "; " + a.Message
		}
	}
	return v
}

// memoryOf returns how much memory the runner of j used.
func (s *Source) memoryOf(ctx context.Context, j ledger.Job) (pool.MemoryUse, error) {
	if j.RunnerName == "" {
		return pool.MemoryUse{}, nil
	}
	list, err := s.Ledger.Runners(ctx, ledger.RunnerQuery{Name: j.RunnerName})
	if errors.Is(err, ledger.ErrNotFound) { // not ours
		return pool.MemoryUse{}, nil
	} else if err != nil {
		return pool.MemoryUse{}, err
	}
	return list[0].Memory, nil
}
