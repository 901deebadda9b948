package machine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A canary at the forge is one job in a repository of the user, on a runner made for it alone: its
// only label is unique. The ledger knows neither.
const (
	ForgeCanaryFile   = "mayfly-canary.yml" // the workflow, whose text is in docs/image.md
	forgeCanaryInput  = "runner"            // its input: the label
	forgeCanaryWithin = 10 * time.Minute
)

// A dispatcher is a forge that starts a workflow on request, and tells of its job.
type dispatcher interface {
	Dispatch(ctx context.Context, repository, file string, inputs map[string]string) error
	JobFor(ctx context.Context, repository, runner string) (event.WorkflowJob, error)
	CancelRun(ctx context.Context, repository string, run int64) error
}

// tryAtForge has a runner from candidate run a job at the forge.
func (m *Machine) tryAtForge(ctx context.Context, candidate image.Image) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, forgeCanaryWithin, fmt.Errorf("the canary job in %s was not done within %v", m.config.Image.Canary, forgeCanaryWithin))
	defer cancel()
	at, ok := m.pipeline.Forge.(dispatcher)
	if !ok {
		return fmt.Errorf("canary in %s: %s has no call to start it", m.config.Image.Canary, m.pipeline.Forge.Name())
	}
	name := "canary-" + strings.ToLower(rand.Text()[:10])
	c := &soloClaim{permit: claim.Permit{Job: "canary", Scope: m.config.Image.Canary, Labels: []string{name}, TotalLimit: forgeCanaryWithin}}
	sockets, err := claim.New(claim.Config{Dir: filepath.Join(m.config.State, "canary"), Ledger: c, Forge: m.pipeline.ClaimForge(), CA: m.config.CA, Log: m.config.Log})
	if err != nil {
		return err
	}
	defer m.fleet.Lend(name)()
	defer func() { err = errors.Join(err, m.endForgeCanary(context.WithoutCancel(ctx), at, sockets, name)) }()
	dir, err := sockets.Open(name)
	if err != nil {
		return err
	}
	p, err := m.canaryPool()
	if err != nil {
		return err
	}
	if err := at.Dispatch(ctx, m.config.Image.Canary, ForgeCanaryFile, map[string]string{forgeCanaryInput: name}); err != nil {
		return err
	}
	spec := fleet.SpecOf(p)
	spec.Runner, spec.Job, spec.Image, spec.ClaimDir = name, "canary", string(candidate.Digest), dir
	if err := m.launcher.Start(ctx, spec); err != nil {
		return err
	}
	exit, err := m.launcher.Wait(ctx, name)
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return m.judgeForgeCanary(ctx, at, name, exit, c.last())
}

// canaryPool returns the first pool whose runners start from built images.
func (m *Machine) canaryPool() (pool.Pool, error) {
	for _, p := range m.pools() {
		if p.Image == "" {
			return p, nil
		}
	}
	return pool.Pool{}, errors.New("no pool starts runners from built images any more")
}

// judgeForgeCanary asks the forge for the conclusion of the runner's job.
func (m *Machine) judgeForgeCanary(ctx context.Context, at dispatcher, name string, exit fleet.Exit, words string) error {
	job, err := at.JobFor(ctx, m.config.Image.Canary, name)
	switch {
	case err != nil:
		return err
	case job.Conclusion == "success":
		return nil
	case job.Conclusion == "":
		return fmt.Errorf("canary in %s: the runner ended before its job did: %s (exit code %d)", m.config.Image.Canary, words, exit.Code)
	}
	return fmt.Errorf("canary in %s: the job ended with %s: %s", m.config.Image.Canary, job.Conclusion, job.URL)
}

// endForgeCanary leaves nothing behind: no container, registration or claim, and no job waiting for
// a runner that will not come.
func (m *Machine) endForgeCanary(ctx context.Context, at dispatcher, sockets *claim.SocketServer, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	errs := []error{m.launcher.Stop(ctx, name, 10*time.Second), sockets.Close(name), sockets.Shutdown(ctx)}
	scope, err := forge.ParseScope(m.config.Image.Canary)
	if err == nil {
		err = m.pipeline.Forge.ForgetRunner(ctx, scope, name)
	}
	errs = append(errs, err)
	job, err := at.JobFor(ctx, m.config.Image.Canary, name)
	if err == nil && job.Conclusion == "" {
		err = at.CancelRun(ctx, m.config.Image.Canary, job.RunID)
	}
	if !errors.Is(err, forge.ErrNotFound) { // it never came to be
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// A soloClaim is the ledger of a single runner, which may claim until it is registered.
type soloClaim struct {
	permit claim.Permit

	mu         sync.Mutex
	registered bool   // guarded by mu
	words      string // the agent's last words; guarded by mu
}

// Claim implements claim.Ledger.
func (c *soloClaim) Claim(context.Context, string) (claim.Permit, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.registered {
		return claim.Permit{}, &claim.Refused{Reason: "the canary has claimed before"}
	}
	return c.permit, nil
}

// PutOff implements claim.Ledger: who may claim may do so again.
func (c *soloClaim) PutOff(context.Context, string, claim.Permit, *claim.Later) error { return nil }

// Registered implements claim.Ledger.
func (c *soloClaim) Registered(context.Context, string, int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registered = true
	return nil
}

// Report implements claim.Ledger.
func (c *soloClaim) Report(_ context.Context, _ string, r claim.Report) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Phase == claim.PhaseGone {
		c.words = r.Reason
	}
	return nil
}

func (c *soloClaim) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.words
}
