package inspect

import (
	"context"
	"errors"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// A Job is a job with the answer to why it is where it is.
type Job struct {
	ledger.Job
	why.Answer
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
	scene, err := s.scene(ctx, state, jobs, now)
	if err != nil {
		return nil, err
	}
	views := make([]Job, len(jobs))
	for i, j := range jobs {
		views[i] = scene.jobOf(j)
	}
	if !q.Key.IsZero() {
		views[0].Memory, err = s.memoryOf(ctx, jobs[0])
	}
	return views, err
}

// memoryOf returns how much memory the runner of j used.
func (s *Source) memoryOf(ctx context.Context, j ledger.Job) (pool.MemoryUse, error) {
	if j.RunnerName == "" {
		return pool.MemoryUse{}, nil
	}
	list, err := s.runnerNamed(ctx, j.RunnerName)
	if err != nil || len(list) == 0 {
		return pool.MemoryUse{}, err
	}
	return list[0].Memory, nil
}

// runnerNamed returns the runner called name; none if it is not ours.
func (s *Source) runnerNamed(ctx context.Context, name ledger.RunnerName) ([]ledger.Runner, error) {
	list, err := s.Ledger.Runners(ctx, ledger.RunnerQuery{Name: name})
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	return list, err
}
