package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A Config configures a Fleet.
type Config struct {
	Launcher Launcher

	// Exited is told how each container ended, before what is left of it is removed. It is called
	// at least once per runner: again after an error, and by the next process if this one dies in
	// between; concurrently for several runners. After an [ErrFull] the container, which may be
	// what fills the disk, is removed first and Exited is called again afterwards; if this process
	// dies in between, that end is not reported. Exited must not call the fleet's Wait or Close.
	Exited func(ctx context.Context, runner string, exit Exit) error

	Starts int           // containers starting at once; 0 means 4 per processor
	Grace  time.Duration // between SIGTERM and SIGKILL; 0 means 40 s: the agent gives the runner 30 s of it, which needs 12 s for a stubborn step
	Log    *slog.Logger
}

// A Fleet starts runners, watches each until it ends, reports its end and removes it. Its methods
// are safe for concurrent use.
type Fleet struct {
	config Config
	slots  chan struct{} // holds one value per starting container
	ctx    context.Context
	cancel context.CancelFunc
	busy   sync.WaitGroup // one per entry of runners

	mu      sync.Mutex
	runners map[string]*runner // by name: starting or watched
	lent    map[string]bool    // by name: see Lend
}

// A runner is one that the fleet starts or watches.
type runner struct {
	ctx     context.Context // of its start
	cancel  context.CancelCauseFunc
	started chan struct{} // closed when its start is over
	err     error         // of its start; set before started is closed
	gone    chan struct{} // closed when its end was reported and nothing is left
}

// New returns a Fleet without runners; [Fleet.Adopt] finds those of an earlier one.
func New(config Config) *Fleet {
	config.Starts = cmp.Or(config.Starts, 4*runtime.NumCPU())
	config.Grace = cmp.Or(config.Grace, 40*time.Second)
	config.Log = cmp.Or(config.Log, slog.New(slog.DiscardHandler))
	f := &Fleet{config: config, slots: make(chan struct{}, config.Starts), runners: map[string]*runner{}, lent: map[string]bool{}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// Launch starts the runner of spec and watches it from then on. It blocks until the container runs,
// and waits for a free slot if many start at once. For a runner that the fleet already has, it
// waits for that start and returns its result.
//
// After an error nothing of the runner is left, unless the error says so. The error is [ErrRemoved]
// if Remove was called in between, [ErrClosed] after Close.
func (f *Fleet) Launch(ctx context.Context, spec Spec) error {
	r, fresh, err := f.enter(spec.Runner)
	if err != nil {
		return err
	}
	if !fresh {
		select {
		case <-r.started:
			return r.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	stop := context.AfterFunc(ctx, func() { r.cancel(context.Cause(ctx)) })
	defer stop()
	r.err = f.startInSlot(r.ctx, spec)
	close(r.started)
	if r.err != nil {
		f.leave(spec.Runner, r)
		return r.err
	}
	f.config.Log.Info("runner started", "runner", spec.Runner, "pool", spec.Pool, "job", spec.Job)
	go f.watch(spec.Runner, r)
	return nil
}

// startInSlot waits for a slot, starts the container, and removes what a failed start has left.
func (f *Fleet) startInSlot(ctx context.Context, spec Spec) error {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return fmt.Errorf("starting runner %s: %w", spec.Runner, context.Cause(ctx))
	}
	err := f.config.Launcher.Start(ctx, spec)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = fmt.Errorf("starting runner %s: %w", spec.Runner, cause)
	}
	return errors.Join(err, f.config.Launcher.Stop(context.WithoutCancel(ctx), spec.Runner, 0)) // a cancelled start is cleaned up, too
}

// enter returns the fleet's entry of a runner; fresh if it was just added.
func (f *Fleet) enter(name string) (r *runner, fresh bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return nil, false, ErrClosed
	}
	if r := f.runners[name]; r != nil {
		return r, false, nil
	}
	r = &runner{started: make(chan struct{}), gone: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancelCause(f.ctx)
	f.runners[name] = r
	f.busy.Add(1)
	return r, true, nil
}

// leave removes the entry.
func (f *Fleet) leave(name string, r *runner) {
	f.mu.Lock()
	delete(f.runners, name)
	f.mu.Unlock()
	r.cancel(nil)
	close(r.gone)
	f.busy.Done()
}

// watch follows r to its end. Close leaves the rest to a later fleet.
func (f *Fleet) watch(name string, r *runner) {
	defer f.leave(name, r)
	log := f.config.Log.With("runner", name)
	var exit Exit
	wait := step{"waiting for runner", func() (err error) { exit, err = f.await(name); return err }}
	tell := step{"telling of runner's end", func() error { return f.config.Exited(f.ctx, name, exit) }}
	remove := step{"removing runner", func() error { return f.config.Launcher.Stop(f.ctx, name, 0) }}
	freeFirst := false
	tellUnlessFull := step{tell.name, func() error {
		err := tell.do()
		if freeFirst = errors.Is(err, ErrFull); freeFirst {
			return nil
		}
		return err
	}}
	if !f.persist(wait, log) || !f.persist(tellUnlessFull, log) || !f.persist(remove, log) {
		return
	}
	if freeFirst && !f.persist(tell, log) {
		return
	}
	log.Info("runner gone", "code", exit.Code, "note", exit.Note)
}

func (f *Fleet) await(name string) (Exit, error) {
	exit, err := f.config.Launcher.Wait(f.ctx, name)
	if errors.Is(err, ErrNotFound) {
		return Exit{Code: CodeUnknown, Note: NoteRemoved}, nil
	}
	return exit, err
}

// Pauses between attempts of a step that must succeed in the end.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// A step is an action that must succeed in the end.
type step struct {
	name string
	do   func() error
}

// persist repeats s until it succeeds; false if the fleet was closed before.
func (f *Fleet) persist(s step, log *slog.Logger) bool {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := s.do()
		if err == nil {
			return true
		}
		if f.ctx.Err() != nil {
			return false
		}
		log.Warn("runner: trying again", "step", s.name, "err", err, "after", pause)
		select {
		case <-time.After(pause):
		case <-f.ctx.Done():
			return false
		}
	}
}

// Remove ends a runner, gracefully if it runs, and removes it; a start that is not over is
// cancelled. Like every end it is reported by Exited, unless the runner never ran. Remove returns
// nil when nothing is left of the container.
func (f *Fleet) Remove(ctx context.Context, name string) error {
	f.mu.Lock()
	r := f.runners[name]
	f.mu.Unlock()
	if r != nil {
		r.cancel(ErrRemoved)
		select {
		case <-r.started:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return f.config.Launcher.Stop(ctx, name, f.config.Grace)
}

// Adopt watches every container that the launcher has, whoever started it: running ones until they
// end, ended ones to be reported and removed. Call it once after a restart, before the first
// Launch. It returns what it found; a runner that is not among them has no container. A container
// that was created but never started, for example because of a crash in between, is removed and not
// returned: nobody has seen it run, and its start is requested again.
func (f *Fleet) Adopt(ctx context.Context) ([]Container, error) {
	found, err := f.config.Launcher.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding runners: %w", err)
	}
	found = slices.DeleteFunc(found, func(c Container) bool { return f.discard(ctx, c) })
	for _, c := range found {
		r, fresh, err := f.enter(c.Runner)
		if err != nil {
			return nil, err
		}
		if fresh {
			close(r.started)
			go f.watch(c.Runner, r)
		}
	}
	return found, nil
}

// discard removes c if it has never run, and reports whether it has never run. A container that it
// cannot remove is left to [Fleet.RemoveStrays].
func (f *Fleet) discard(ctx context.Context, c Container) bool {
	if !c.Fresh {
		return false
	}
	if err := f.config.Launcher.Stop(ctx, c.Runner, 0); err != nil {
		f.config.Log.Warn("removing a runner that was never started", "runner", c.Runner, "err", err)
		return true
	}
	f.config.Log.Info("removed a runner that was made and never started", "runner", c.Runner, "pool", c.Pool, "job", c.Job)
	return true
}

// Runners returns the names of the runners that are starting or watched, sorted.
func (f *Fleet) Runners() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.runners))
}

// Wait blocks until the fleet has no runner.
func (f *Fleet) Wait(ctx context.Context) error {
	for {
		f.mu.Lock()
		var one *runner
		for _, one = range f.runners {
			break
		}
		f.mu.Unlock()
		if one == nil {
			return nil
		}
		select {
		case <-one.gone:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close ends the fleet and leaves its runners running, for the next one to adopt. Starts that are
// not over are cancelled. It returns when no goroutine of the fleet is left.
func (f *Fleet) Close() {
	f.mu.Lock()
	f.cancel()
	f.mu.Unlock()
	f.busy.Wait()
}
