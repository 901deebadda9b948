package ledger

import (
	"context"
	"time"
)

// FirstRunner returns the runner that a container represents if the container was started for a job
// before the ledger named its runner: the first runner made for the job. If none was made yet, name
// is empty and why says what the job waits for. The error is [ErrNotFound] if s does not know the
// job.
func FirstRunner(ctx context.Context, s Store, key JobKey, now time.Time) (name RunnerName, why string, err error) {
	jobs, err := s.Jobs(ctx, JobQuery{Key: key})
	if err != nil {
		return "", "", err
	}
	if j := jobs[0]; j.First != "" {
		return j.First, "", nil
	}
	state, err := s.Snapshot(ctx)
	if err != nil {
		return "", "", err
	}
	return "", state.Why(jobs[0], now).Text, nil
}
