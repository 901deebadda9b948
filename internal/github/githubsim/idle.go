package githubsim

import (
	"math/rand/v2"
	"time"
)

// The shortest and the longest that a JIT runner idles before GitHub removes it, as
// people have seen it; GitHub documents none.
// https://github.com/actions/runner/issues/4726
const (
	idleShort = 2 * time.Minute
	idleLong  = 6 * time.Minute
)

// idleLimit gives how long a new JIT runner may idle: Config.Idle, or what GitHub takes,
// which is another time for each. The caller holds mu.
func (s *Sim) idleLimit() time.Duration {
	if s.cfg.Idle != 0 {
		return s.cfg.Idle
	}
	if s.idling == nil {
		s.idling = rand.New(rand.NewPCG(s.cfg.Seed, 1))
	}
	return idleShort + time.Duration(s.idling.Int64N(int64(idleLong-idleShort)))
}

// idledTooLong reports whether r, of a JIT configuration, has listened in vain for as long
// as it may. Its runner hears with its next poll that it does not exist.
func (r *runner) idledTooLong(now time.Time) bool {
	return r.JIT && r.job == nil && r.idle > 0 && !r.connected.IsZero() && now.Sub(r.connected) > r.idle
}
