package proof

import (
	"context"
	"errors"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// check looks at what came of jobs that all succeeded.
func (p *proof) check(ctx context.Context) (*Link, error) {
	for _, t := range p.traces {
		log, err := p.log(ctx, t.job.ID)
		if err != nil {
			return nil, err
		}
		t.identity = identityIn(log)
	}
	if b := p.shared(); b != nil {
		return b, nil
	}
	return p.registered(ctx)
}

// log reads the log of a job, which GitHub may not have at once.
func (p *proof) log(ctx context.Context, id int64) (string, error) {
	for until := time.Now().Add(p.Patience); ; {
		text, err := p.Person.JobLog(ctx, p.Repository, id)
		if !errors.Is(err, github.ErrNotFound) || time.Now().After(until) {
			return text, err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(p.Pause):
		}
	}
}

// shared returns the first job that was not alone in its container.
func (p *proof) shared() *Link {
	seen := map[string]string{} // the job by runner, and by place
	for _, t := range p.traces {
		if t.identity == "" {
			return broke("container", t, "its log is at "+t.job.URL, "its log does not say where it ran")
		}
		for _, mark := range []string{"runner " + t.job.RunnerName, "place " + t.identity} {
			if other := seen[mark]; other != "" {
				return broke("container", t, "no two jobs of mayfly share one: is another runner registered with the same labels?", "it shared one with %q: %s", other, mark)
			}
			seen[mark] = t.Name
		}
	}
	return nil
}

// registered returns the first runner of the test that GitHub still has. GitHub forgets an
// ephemeral runner by itself, and may take a moment.
func (p *proof) registered(ctx context.Context) (*Link, error) {
	for until := time.Now().Add(p.Patience); ; {
		left, err := p.registrations(ctx)
		if err != nil || left == nil || time.Now().After(until) {
			return left, err
		}
		select {
		case <-ctx.Done():
			return left, nil
		case <-time.After(p.Pause):
		}
	}
}

func (p *proof) registrations(ctx context.Context) (*Link, error) {
	for _, t := range p.traces {
		at, err := pipeline.ScopeOf(p.Level, t.kept.Scope, p.RunnersAt)
		if err != nil {
			return nil, err
		}
		_, err = p.Forge.RunnerByName(ctx, at, t.job.RunnerName)
		switch {
		case err == nil:
			return broke("left", t, "mayfly runners "+t.job.RunnerName+" tells its story", "its runner %s is still registered at %s", t.job.RunnerName, at), nil
		case !errors.Is(err, github.ErrNotFound):
			return nil, err
		}
	}
	return nil, nil
}
