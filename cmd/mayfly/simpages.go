package main

import (
	"context"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// watchPages tells what the pages of runs and jobs in sim say, until ctx ends: why a
// workflow did not start, and what the simulator cannot do. On GitHub, people read it there.
func watchPages(ctx context.Context, screen *cli.Screen, changes *githubsim.Subscription) {
	pages := pages{screen: screen, told: map[int64]bool{}}
	for {
		change, more := changes.Next(ctx)
		switch {
		case !more:
			return
		case change.Run != nil:
			pages.run(*change.Run)
		case change.Job != nil:
			pages.job(*change.Job)
		}
	}
}

// pages tells each page once.
type pages struct {
	screen *cli.Screen
	told   map[int64]bool // by id of a job, or of a run's attempt
}

// run tells of a run that has completed.
func (p pages) run(r githubsim.Run) {
	key := r.ID<<8 | int64(r.Attempt&0xff)
	if r.Status != githubsim.StatusCompleted || p.told[key] || len(r.Annotations) == 0 {
		return
	}
	p.told[key] = true
	p.screen.Notef("%s", cli.Printable(fmt.Sprintf("run %d of %s in %s: %s", r.ID, r.Workflow, r.Repository, r.Conclusion)))
	for _, a := range r.Annotations {
		p.screen.Notef("  %s", cli.Printable(a.Level+": "+a.Message))
	}
}

// job tells of a job that has completed.
func (p pages) job(j githubsim.Job) {
	if j.Status != githubsim.StatusCompleted || p.told[-j.ID] || j.Fault == "" {
		return
	}
	p.told[-j.ID] = true
	p.screen.Notef("%s", cli.Printable(fmt.Sprintf("job %d %q in %s: %s: %s", j.ID, j.Name, j.Repository, j.Conclusion, j.Fault)))
}
