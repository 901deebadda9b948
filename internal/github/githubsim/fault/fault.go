// Package fault makes an HTTP handler misbehave on request: refuse, answer
// slowly, or do the work and lose the answer.
package fault

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Rule is one misbehaviour. The JSON form is that of POST /_sim/faults.
type Rule struct {
	ID          int64    `json:"id"`                    // given by [Set.Add]
	Method      string   `json:"method,omitempty"`      // "" for any
	Path        string   `json:"path"`                  // as in [path.Match]: "/repos/*/*/actions/runners/generate-jitconfig"
	Status      int      `json:"status,omitempty"`      // answer with this and do nothing: 401, 403, 404, 429, 5xx
	Source      string   `json:"source,omitempty"`      // with Status: whose error it is to runners, such as actions-run-service
	Kind        string   `json:"kind,omitempty"`        // with Source: its errorKind, such as RunnerNotFound
	RetryAfter  int      `json:"retry_after,omitempty"` // seconds, as a Retry-After header with Status
	Delay       Duration `json:"delay,omitempty"`       // wait before anything else
	Cut         bool     `json:"cut,omitempty"`         // do the work, then cut the connection instead of answering
	Count       int      `json:"count,omitempty"`       // so many times, then no more; 0: until removed
	Probability float64  `json:"probability,omitempty"` // of each request; 0 means always
	Hits        int      `json:"hits"`                  // how often it has come true; counted by the Set
}

// A Duration is a time.Duration whose JSON form is a text such as "1.5s".
type Duration time.Duration

// MarshalText gives d as in [time.Duration.String].
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration such as "300ms".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("duration %q: want a number and a unit, such as 1.5s", text)
	}
	*d = Duration(v)
	return nil
}

// check returns an error if r is invalid.
func (r Rule) check() error {
	if _, err := path.Match(r.Path, "/"); err != nil || r.Path == "" {
		return fmt.Errorf("path %q: want a pattern such as /repos/*/*/actions/runners", r.Path)
	}
	switch {
	case r.Status != 0 && (r.Status < 400 || r.Status > 599):
		return fmt.Errorf("status %d: want 400 to 599", r.Status)
	case r.Source != "" && r.Status == 0 || r.Kind != "" && r.Source == "":
		return errors.New("source and kind: want a status, and a source with a kind")
	case r.Status != 0 && r.Cut:
		return errors.New("status and cut: want one of them")
	case r.Status == 0 && !r.Cut && r.Delay <= 0:
		return errors.New("rule without effect: want status, delay or cut")
	case r.Probability < 0 || r.Probability > 1:
		return fmt.Errorf("probability %v: want 0 to 1", r.Probability)
	case r.Count < 0 || r.RetryAfter < 0:
		return errors.New("count and retry_after: want no less than 0")
	}
	return nil
}

// A Set is the rules in force. Its methods may be called at once.
type Set struct {
	mu    sync.Mutex
	rng   *rand.Rand // mu
	rules []Rule     // mu
	last  int64      // mu; id of the newest rule
}

// NewSet returns a Set without rules whose probabilities come from seed.
func NewSet(seed uint64) *Set { return &Set{rng: rand.New(rand.NewPCG(seed, 0))} }

// Add puts r in force and returns its id.
func (s *Set) Add(r Rule) (int64, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	r.ID, r.Hits = s.last, 0
	s.rules = append(s.rules, r)
	return r.ID, nil
}

// Remove takes the rule of id back and reports whether there was one.
func (s *Set) Remove(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.rules)
	s.rules = slices.DeleteFunc(s.rules, func(r Rule) bool { return r.ID == id })
	return len(s.rules) < before
}

// Clear takes all rules back.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// Rules returns the rules in force and how often each has come true.
func (s *Set) Rules() []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rules)
}

// pick returns the first rule that a request to p meets, and counts it.
func (s *Set) pick(method, p string) (Rule, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rules {
		r := &s.rules[i]
		matched, _ := path.Match(r.Path, p) // the pattern was checked by Add
		if !matched || r.Method != "" && r.Method != method || r.Count > 0 && r.Hits >= r.Count {
			continue
		}
		if r.Probability > 0 && s.rng.Float64() >= r.Probability {
			continue
		}
		r.Hits++
		return *r, true
	}
	return Rule{}, false
}

// Serve answers for next as the rules have it.
func (s *Set) Serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rule, ok := s.pick(r.Method, r.URL.Path)
	if !ok {
		next.ServeHTTP(w, r)
		return
	}
	if !wait(r, time.Duration(rule.Delay)) {
		return
	}
	switch {
	case rule.Status != 0:
		refuse(w, rule)
	case rule.Cut:
		next.ServeHTTP(&discard{header: http.Header{}}, r)
		panic(http.ErrAbortHandler) // net/http cuts the connection and logs nothing
	default:
		next.ServeHTTP(w, r)
	}
}

// wait waits for d and reports whether r is still there.
func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// refuse answers as GitHub's API words its refusals, or one of the services of runners:
// a runner reads nothing of an error without its source.
func refuse(w http.ResponseWriter, rule Rule) {
	message := http.StatusText(rule.Status)
	switch {
	case rule.Status == http.StatusUnauthorized:
		message = "Bad credentials"
	case rule.RetryAfter > 0:
		message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
		w.Header().Set("Retry-After", strconv.Itoa(rule.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(rule.Status)
	if rule.Source != "" {
		fmt.Fprintf(w, `{"source":%q,"errorKind":%q,"statusCode":%d,"errorMessage":%q}`, rule.Source, rule.Kind, rule.Status, message)
		return
	}
	fmt.Fprintf(w, `{"message":%q,"documentation_url":"https://docs.github.com/rest","status":"%d"}`, message, rule.Status)
}

// A discard is a ResponseWriter whose answer nobody gets.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
