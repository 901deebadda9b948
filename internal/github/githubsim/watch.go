package githubsim

import (
	"context"
	"sync"
	"time"
)

// A Change is something that happened to a job, a run or a runner: one of the
// three is set.
type Change struct {
	Time        time.Time
	Job         *Job
	Run         *Run
	Runner      *Runner
	RunnerEvent RunnerEvent // with Runner
}

// A RunnerEvent is what happened to a runner.
type RunnerEvent string

// What happens to runners.
const (
	RunnerRegistered RunnerEvent = "registered"
	RunnerOnline     RunnerEvent = "online"
	RunnerGivenJob   RunnerEvent = "given a job"
	RunnerOffline    RunnerEvent = "offline"
	RunnerRemoved    RunnerEvent = "removed"
)

// A Subscription gives every Change since it was made, in order. It keeps what is
// not yet fetched, however much: fetch, or close it.
type Subscription struct {
	sim    *Sim
	mu     sync.Mutex
	queue  []Change      // mu
	wake   chan struct{} // of size 1
	closed chan struct{}
	once   sync.Once
}

// Subscribe returns a Subscription to all that happens from now on.
func (s *Sim) Subscribe() *Subscription {
	sub := &Subscription{sim: s, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[sub] = true
	return sub
}

// Next returns the next Change, and waits for it if need be. It reports false
// when ctx is done or the Subscription closed.
func (sub *Subscription) Next(ctx context.Context) (Change, bool) {
	for {
		if c, found := sub.pop(); found {
			return c, true
		}
		select {
		case <-sub.wake:
		case <-sub.closed:
			return Change{}, false
		case <-ctx.Done():
			return Change{}, false
		}
	}
}

// Close ends the Subscription.
func (sub *Subscription) Close() {
	sub.once.Do(func() { close(sub.closed) })
	sub.sim.mu.Lock()
	defer sub.sim.mu.Unlock()
	delete(sub.sim.watchers, sub)
}

func (sub *Subscription) pop() (Change, bool) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if len(sub.queue) == 0 {
		return Change{}, false
	}
	c := sub.queue[0]
	sub.queue = sub.queue[1:]
	return c, true
}

func (sub *Subscription) push(c Change) {
	sub.mu.Lock()
	sub.queue = append(sub.queue, c)
	sub.mu.Unlock()
	select {
	case sub.wake <- struct{}{}:
	default:
	}
}

// notify gives c to every Subscription. The caller holds mu.
func (s *Sim) notify(c Change) {
	c.Time = s.now()
	for sub := range s.watchers {
		sub.push(c)
	}
}
