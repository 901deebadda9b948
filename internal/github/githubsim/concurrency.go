package githubsim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

// A permitKey names a concurrency group. It ignores case.
type permitKey struct {
	repo *repository
	name string
}

// A permit is a place in a concurrency group: of a run, a called workflow or a job.
type permit struct {
	key    permitKey
	name   string           // of the group, as written
	cancel bool             // cancel-in-progress
	queue  bool             // queue: max: those that wait are not replaced
	begin  func()           // its turn has come
	stop   func(why string) // another takes its place
}

// A permitGroup has the running and the waiting member of a concurrency group.
type permitGroup struct {
	running *permit
	waiting []*permit
}

// maxPending is how many may wait in a group with queue: max.
// https://docs.github.com/en/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency
const maxPending = 100

// permitFor gives a place in the group that c names, nil if it is nil.
func (s *Sim) permitFor(c *workflow.Concurrency, scope expr.Scope, repo *repository) (*permit, error) {
	if c == nil {
		return nil, nil
	}
	name, err := scope.Expand(c.Group)
	if err != nil {
		return nil, err
	}
	cancel, err := scope.Resolve(c.CancelInProgress)
	switch {
	case err != nil:
		return nil, err
	case name == "":
		return nil, errors.New("concurrency group name cannot be empty")
	case len(name) > 400:
		return nil, errors.New("concurrency group name must be less than 400 characters")
	}
	key := permitKey{repo, strings.ToLower(name)}
	return &permit{key: key, name: name, cancel: isTrue(cancel), queue: c.Queue == "max"}, nil
}

// busy reports whether p would have to wait, or to take another's place.
func (s *Sim) busy(p *permit) bool { return s.permits[p.key] != nil }

// holds reports whether p's turn has come.
func (s *Sim) holds(p *permit) bool { g := s.permits[p.key]; return g != nil && g.running == p }

// enter begins p, or has it wait: then it takes the place of whoever waited
// before, and with cancel-in-progress ends whoever goes on. The caller holds mu.
func (s *Sim) enter(p *permit) {
	g := s.permits[p.key]
	if g == nil {
		s.permits[p.key] = &permitGroup{running: p}
		p.begin()
		return
	}
	if p.queue && len(g.waiting) >= maxPending {
		p.stop(fmt.Sprintf("Canceling since the queue of concurrency group '%s' is full", p.name))
		return
	}
	replaced := g.waiting
	if p.queue {
		replaced = nil
	}
	g.waiting = append(slices.Clone(g.waiting), p)
	for _, old := range replaced {
		old.stop(fmt.Sprintf("Canceling since a higher priority waiting request for '%s' exists", p.name))
	}
	if p.cancel && g.running != p {
		g.running.stop(fmt.Sprintf("Canceling since a higher priority waiting request for '%s' exists", p.name))
	}
}

// leave gives up p's place; the next of its group begins. The caller holds mu.
func (s *Sim) leave(p *permit) {
	g := s.permits[p.key]
	if g == nil {
		return
	}
	g.waiting = slices.DeleteFunc(slices.Clone(g.waiting), func(w *permit) bool { return w == p })
	switch {
	case g.running != p:
	case len(g.waiting) == 0:
		delete(s.permits, p.key)
	default:
		g.running, g.waiting = g.waiting[0], g.waiting[1:]
		g.running.begin()
	}
}

// deadlock says that a job asks for the concurrency group that its own run has.
func deadlock(group, job string) string {
	return fmt.Sprintf("Canceling since a deadlock for concurrency group '%s' was detected between 'top level workflow' and '%s'", group, job)
}

// has reports whether f, or what calls it, has a place in the group: a job that
// asked for another would wait for its own run.
func (f *flow) has(key permitKey) bool {
	same := func(p *permit) bool { return p.key == key }
	for ; ; f = f.caller.flow {
		if slices.ContainsFunc(f.permits, same) || slices.ContainsFunc(f.run.permits, same) {
			return true
		}
		if f.caller == nil {
			return false
		}
	}
}
