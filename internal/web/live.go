package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// slower is how many times longer than its rendering a live page rests, so that one that reads much
// does not take the machine.
const slower = 5

// stream sends what is inside a page whenever it changes, as an event stream, until the reader goes.
//
// https://html.spec.whatwg.org/multipage/server-sent-events.html
func (p *Page) stream(w http.ResponseWriter, r *http.Request, v viewer) {
	select {
	case p.live <- struct{}{}:
		defer func() { <-p.live }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many live pages: reload instead", http.StatusServiceUnavailable)
		return
	}
	out := newStream(w)
	var last []byte
	for {
		begun := time.Now()
		made := p.look(r, v)
		made.Live = true
		if made.Code >= http.StatusBadRequest && r.Context().Err() != nil {
			return
		}
		main, err := p.main(made, actorOf(r))
		if err == nil && !bytes.Equal(main, last) {
			err = out.send(main)
			last = main
		} else if err == nil {
			err = out.beat()
		}
		if err != nil || !rest(r.Context(), max(p.every(), slower*time.Since(begun))) {
			return
		}
	}
}

// every is how often live pages look: not more often than the source likes to be asked.
func (p *Page) every() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.source == nil {
		return p.config.Every
	}
	return max(p.config.Every, p.source.Pause)
}

// rest waits, and reports whether ctx goes on.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// An eventStream writes server-sent events.
type eventStream struct {
	w       io.Writer
	control *http.ResponseController
}

func newStream(w http.ResponseWriter) eventStream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events back
	return eventStream{w, http.NewResponseController(w)}
}

// send sends one event.
func (s eventStream) send(data []byte) error {
	for line := range bytes.Lines(data) {
		if _, err := fmt.Fprintf(s.w, "data: %s\n", bytes.TrimRight(line, "\r\n")); err != nil {
			return err
		}
	}
	_, err := io.WriteString(s.w, "\n")
	return errors.Join(err, s.control.Flush())
}

// named is send for an event of another name.
func (s eventStream) named(name string, data []byte) error {
	if _, err := fmt.Fprintf(s.w, "event: %s\n", name); err != nil {
		return err
	}
	return s.send(data)
}

// beat sends a comment, which shows that the connection lives.
func (s eventStream) beat() error {
	_, err := io.WriteString(s.w, ":\n\n")
	return errors.Join(err, s.control.Flush())
}
