package claim

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Rate limit of a runner's socket. An agent calls every two seconds if everything is deferred. A
// job that floods the socket loses it for the rest of its time, and its runner does without: the
// launcher reports how that ends.
const (
	callBurst  = 200
	callsEvery = 500 * time.Millisecond
)

// A patience is the number of calls left. It is not safe for concurrent use.
type patience struct {
	left int       // calls left
	at   time.Time // when left was last counted
}

// call uses up one call and reports whether there was one.
func (p *patience) call(now time.Time) bool {
	if p.at.IsZero() {
		p.left, p.at = callBurst, now
	}
	if more := int(now.Sub(p.at) / callsEvery); more > 0 {
		p.left, p.at = min(callBurst, p.left+more), p.at.Add(time.Duration(more)*callsEvery)
	}
	if p.left == 0 {
		return false
	}
	p.left--
	return true
}

// guard passes calls to next until there are too many; then it calls shut, once, and aborts every
// call.
func guard(next http.Handler, shut func()) http.Handler {
	var (
		mu   sync.Mutex
		left patience
		once sync.Once
	)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		ok := left.call(time.Now())
		mu.Unlock()
		if !ok {
			once.Do(shut)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// maxLines is how many log lines the calls of one runner may cause.
const maxLines = 20

// A sparing log writes the first lines and counts the rest.
type sparing struct {
	*slog.Logger
	mu   sync.Mutex
	said int // lines, written or not; guarded by mu
}

// warn writes a line, or counts it.
func (s *sparing) warn(msg string, args ...any) {
	s.mu.Lock()
	s.said++
	say := s.said <= maxLines
	s.mu.Unlock()
	if say {
		s.Warn(msg, args...)
	}
}

// finish logs how many lines were suppressed.
func (s *sparing) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if more := s.said - maxLines; more > 0 {
		s.Warn("more lines on the calls of this runner were suppressed", "lines", more)
	}
	s.said = 0
}
