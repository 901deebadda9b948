package claim

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// How often the socket of one runner is called at most. An agent calls every two seconds where
// everything is put off. A job that floods it loses it for the rest of its time, and its runner
// does without: the launcher sees how that ends.
const (
	callBurst  = 200
	callsEvery = 500 * time.Millisecond
)

// A patience is what is left of these calls. It is for one goroutine at a time.
type patience struct {
	left int
	at   time.Time // when left was last counted
}

// call takes one call and reports whether it was there.
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

// guard passes calls on to next until there are too many; then it calls shut, once, and
// answers no more.
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

// maxLines is how many lines of the log one runner's calls may take.
const maxLines = 20

// A sparing log writes the first lines and counts the others.
type sparing struct {
	*slog.Logger
	mu   sync.Mutex
	said int // lines, written or not; mu
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

// finish says how many lines were only counted.
func (s *sparing) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if more := s.said - maxLines; more > 0 {
		s.Warn("more lines on the calls of this runner were suppressed", "lines", more)
	}
	s.said = 0
}
