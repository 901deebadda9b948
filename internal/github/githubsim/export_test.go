package githubsim

// Expire acts now on what has run out of time, for tests that set the clock.
func (s *Sim) Expire() { s.expire() }
