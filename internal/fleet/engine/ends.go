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

// Pauses of the stream of events. An engine that restarts is asked again after
// firstPause, then less and less often; lookAgain is how often containers are looked at
// although no event told of them: an engine's log of events is bounded, and can be off.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	lookAgain  = time.Minute
)

// ends tells who waits for a container that it may have ended. It follows one stream of
// the engine's events for all containers of the instance, and looks at all of them
// whenever it opens the stream. Nothing is asked of the engine meanwhile.
//
// The engine's own call for this, POST /containers/ID/wait, is not used: in Podman before
// 4.6 each such call takes more than a whole processor for as long as it lasts.
// https://github.com/containers/podman/issues/18150
type ends struct {
	api   *client.Client
	mine  client.Filters
	every time.Duration // between looks
	log   *slog.Logger

	begin  sync.Once
	cancel context.CancelFunc // set by the first wait
	done   chan struct{}      // closed when nothing follows the stream any more

	mu      sync.Mutex
	waiting map[string]chan struct{} // by runner, closed when it may have ended; guarded by mu
}

func newEnds(api *client.Client, mine client.Filters, log *slog.Logger) *ends {
	return &ends{api: api, mine: mine, every: lookAgain, log: log, waiting: map[string]chan struct{}{}}
}

// of returns a channel that is closed when the container of runner may have ended. Look
// at the container after that call: what ended before is told to nobody.
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

// close ends the stream. Nobody is told of anything after it.
func (e *ends) close() {
	e.begin.Do(func() {}) // there is no stream to come
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
		if pause == lastPause { // it has been said
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

// stream tells of what the engine says until it says no more. Events are asked for from
// a moment before the first look, so that nothing falls between the two. Some versions
// of Podman answer with the first event only, so the look does not wait for the answer.
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

// isEnd reports whether a container may have ended when the engine tells of action.
// Podman says "cleanup" and "remove" where Docker says nothing and "destroy"; before
// version 4 it says "died".
func isEnd(action events.Action) bool {
	switch action {
	case events.ActionDie, "died", "cleanup", events.ActionDestroy, events.ActionRemove:
		return true
	}
	return false
}

// look tells of every container that is waited for and does not run.
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
