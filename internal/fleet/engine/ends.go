package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// Times of the stream of events. A stream that broke, as when the engine restarts, is opened
// again after firstPause, then with growing pauses. Every lookAgain all containers are listed
// although no event came: an engine's log of events is bounded, and can be disabled.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	lookAgain  = time.Minute
)

// ends wakes the goroutines that wait for a container when it may have ended. It follows one
// stream of the engine's events for all containers of the instance, and lists the containers
// whenever it opens the stream, so that an idle runner costs the engine nothing.
//
// It may wake a waiter too often, never too rarely: the waiter inspects its container and waits
// again if that still runs.
//
// It does not use the engine's own call for this, POST /containers/ID/wait: in Podman before
// 4.6 each such call uses more than a whole processor as long as it lasts.
// https://github.com/containers/podman/issues/18150
type ends struct {
	api   *client.Client
	mine  client.Filters
	every time.Duration // between two lists of containers
	log   *slog.Logger

	begin  sync.Once
	cancel context.CancelFunc // ends follow; set by begin
	done   chan struct{}      // closed when follow has returned

	mu      sync.Mutex
	waiting map[string]chan struct{} // by runner, closed when it may have ended; guarded by mu
}

func newEnds(api *client.Client, mine client.Filters, log *slog.Logger) *ends {
	return &ends{api: api, mine: mine, every: lookAgain, log: log, waiting: map[string]chan struct{}{}}
}

// of returns a channel that is closed when the container of runner may have ended. Inspect the
// container after this call, not before: an end before it closes no channel.
func (e *ends) of(runner string) <-chan struct{} {
	e.begin.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		e.cancel, e.done = cancel, make(chan struct{})
		go e.follow(ctx)
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	told, ok := e.waiting[runner]
	if !ok {
		told = make(chan struct{})
		e.waiting[runner] = told
	}
	return told
}

// close ends the stream. No waiter is woken after it.
func (e *ends) close() {
	e.begin.Do(func() {}) // prevents a later wait from opening a stream
	if e.cancel != nil {
		e.cancel()
		<-e.done
	}
}

func (e *ends) tell(runner string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if told, ok := e.waiting[runner]; ok {
		close(told)
		delete(e.waiting, runner)
	}
}

// follow keeps a stream open until ctx ends.
func (e *ends) follow(ctx context.Context) {
	defer close(e.done)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		begun := time.Now()
		err := e.stream(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > lastPause {
			pause = firstPause
		}
		level := slog.LevelWarn
		if pause == lastPause { // warned before: do not repeat it every lastPause
			level = slog.LevelDebug
		}
		e.log.Log(ctx, level, "events of the container engine: trying again", "err", err, "after", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// stream wakes waiters by the engine's events until the stream breaks. It requests events from
// a second before its first list of containers, so that no end falls between the two. Some
// versions of Podman send the header of the answer only with the first event, so the request
// runs in a goroutine and the list does not wait for it.
func (e *ends) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := client.EventsListOptions{
		Since:   strconv.FormatInt(time.Now().Unix()-1, 10),
		Filters: e.mine.Clone().Add("type", string(events.ContainerEventType)),
	}
	opened := make(chan client.EventsResult, 1)
	go func() { opened <- e.api.Events(ctx, options) }()
	if err := e.look(ctx); err != nil {
		return err
	}
	again := time.NewTicker(e.every)
	defer again.Stop()
	var from client.EventsResult
	for {
		select {
		case from = <-opened:
		case m := <-from.Messages:
			if isEnd(m.Action) {
				e.tell(m.Actor.Attributes[labelRunner])
			}
		case err := <-from.Err:
			return fmt.Errorf("following events: %w", err)
		case <-again.C:
			if err := e.look(ctx); err != nil {
				return err
			}
		}
	}
}

// isEnd reports whether action means that a container may have ended. Podman sends "cleanup"
// where Docker sends nothing, "remove" where Docker sends "destroy", and "died" before version 4.
func isEnd(action events.Action) bool {
	switch action {
	case events.ActionDie, "died", "cleanup", events.ActionDestroy, events.ActionRemove:
		return true
	}
	return false
}

// look wakes the waiters of all containers that do not run.
func (e *ends) look(ctx context.Context) error {
	running, err := e.running(ctx)
	if err != nil {
		return err
	}
	for _, runner := range e.waited() {
		if !running[runner] {
			e.tell(runner)
		}
	}
	return nil
}

func (e *ends) running(ctx context.Context) (map[string]bool, error) {
	found, err := e.api.ContainerList(ctx, client.ContainerListOptions{Filters: e.mine.Clone().Add("status", string(container.StateRunning))})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	running := map[string]bool{}
	for _, c := range found.Items {
		running[c.Labels[labelRunner]] = true
	}
	return running, nil
}

func (e *ends) waited() (runners []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for runner := range e.waiting {
		runners = append(runners, runner)
	}
	return runners
}
