// Package proof tries a pipeline on a repository of somebody's own. It pushes a workflow on
// a branch, follows each of its jobs hop by hop through what GitHub, the bus and the ledger
// say, checks that each was alone in its container and left nothing, and removes the branch.
// When that fails, it names the first link that broke, and what to do about it.
package proof

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A Config is what [Run] needs.
type Config struct {
	Repository string // owner/name
	Branch     string // to be made there, and removed in the end
	Pools      []pool.Pool
	Patience   time.Duration // give up when nothing has happened for this long
	Pause      time.Duration // between looks

	Person    *github.Client // pushes, and reads the run and its logs
	Forge     *github.Client // as the pipeline calls GitHub: its webhook and its runners
	Level     ledger.Level   // where runners are registered
	RunnersAt string         // as in the configuration

	Ledger Ledger
	Events Events
	Health func(context.Context) (Health, error)
	Hook   Hook

	Progress func(standing string) // is told whenever the test has looked
}

// A Ledger reads jobs and runners, as [ledger.Store] says.
type Ledger interface {
	Snapshot(ctx context.Context) (*ledger.State, error)
	Jobs(ctx context.Context, q ledger.JobQuery) ([]ledger.Job, error)
	Runners(ctx context.Context, q ledger.RunnerQuery) ([]ledger.Runner, error)
}

// Events reads what went over the bus: the events that pass f, the newest first.
type Events interface {
	Events(ctx context.Context, f eventlog.Filter) ([]eventlog.Stored, error)
}

// Health is how the pipeline itself stands.
type Health struct {
	Running     bool
	Words       string // such as "mayfly up is not running"
	Quarantined int    // deliveries that lack what routing needs
}

// A Hook is where the webhook should be, by the configuration.
type Hook struct {
	At      string // "app", or whose webhook it is; "" when that is not configured
	URL     string // that it should send to; "" when that is not known
	Command string // that makes and mends it
}

// Errors of [Run] that are to be told apart.
var (
	ErrBranch = errors.New("is there already") // nothing was done
	ErrEmpty  = errors.New("GitHub makes no branch in an empty repository")
	ErrLeft   = errors.New("not all of the test could be removed")
)

// A proof is one test under way. What it finds out is for one goroutine.
type proof struct {
	Config
	begun time.Time

	commit string     // on the branch
	ours   bool       // the branch: it is made, or may be
	run    github.Run // zero before GitHub has made it
	traces []*trace   // of the jobs there are to be, in that order
	step   string     // where it stands
	moved  time.Time  // when something last happened
}

// Run proves it, or finds the first link that broke: the report says which. It cleans up in
// any case, for a minute at most; what ctx has not let it see the end of is a broken link, too.
func Run(ctx context.Context, c Config) (Report, error) {
	p := &proof{Config: c, traces: expected(c.Pools)}
	broken, err := p.prove(ctx)
	cleaning, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	if left := p.clean(cleaning); left != nil {
		err = errors.Join(err, fmt.Errorf("%w: %w", ErrLeft, left))
	}
	return p.report(broken), err
}

// prove pushes, follows every job to its end, and looks whether all is as it should be.
// It returns the first link that broke, nil when none did.
func (p *proof) prove(ctx context.Context) (*Link, error) {
	if err := p.push(ctx); err != nil {
		return nil, err
	}
	for {
		before := p.step
		if err := p.look(ctx); err != nil && ctx.Err() == nil {
			return nil, err
		}
		if p.step = p.standing(); p.step != before {
			p.moved = time.Now()
		}
		p.Progress(p.step)
		if broken := p.hopeless(); broken != nil {
			return broken, nil
		}
		if p.over() {
			return p.check(ctx)
		}
		if ctx.Err() != nil || time.Since(p.moved) > p.Patience {
			return p.stuck(context.WithoutCancel(ctx)), nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(p.Pause):
		}
	}
}

// push makes the branch. One that was there before is nobody's to remove.
func (p *proof) push(ctx context.Context) (err error) {
	p.begun, p.moved = time.Now(), time.Now()
	switch has, err := p.Person.HasBranch(ctx, p.Repository, p.Branch); {
	case err != nil:
		return err
	case has:
		return fmt.Errorf("branch %s of %s %w", p.Branch, p.Repository, ErrBranch)
	}
	p.commit, err = p.Person.CreateBranch(ctx, p.Repository, p.Branch, "mayfly test", map[string]string{workflowPath: workflow(p.Branch, p.Pools)})
	if errors.Is(err, github.ErrConflict) {
		err = fmt.Errorf("%w: %w", ErrEmpty, err)
	}
	// With a commit the branch may be there, whatever the error is, unless somebody has just
	// made one of this name.
	p.ours = p.commit != "" && !errors.Is(err, github.ErrUnprocessable)
	return err
}

// clean cancels what still runs and removes the branch, if it is the test's.
func (p *proof) clean(ctx context.Context) error {
	if !p.ours {
		return nil
	}
	err := p.lookAtRun(ctx) // which may have come to be since
	if p.run.ID != 0 && !p.run.Completed {
		err = errors.Join(err, p.Person.CancelRun(ctx, p.Repository, p.run.ID))
	}
	err = errors.Join(err, p.Person.RemoveBranch(ctx, p.Repository, p.Branch))
	if err != nil {
		return err
	}
	has, err := p.Person.HasBranch(ctx, p.Repository, p.Branch)
	if has {
		err = fmt.Errorf("branch %s of %s is still there", p.Branch, p.Repository)
	}
	return err
}
