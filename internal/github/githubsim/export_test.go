package githubsim

import "net/http"

// Expire acts now on what has run out of time, for tests that set the clock.
func (s *Sim) Expire() { s.expire() }

// Routed reports whether something answers r but the 404 for all else.
func (s *Sim) Routed(r *http.Request) bool {
	_, pattern := s.mux.Handler(r)
	return pattern != "/"
}
