package ledger

// A Cap is a limit that keeps jobs from having a runner.
type Cap string

// The caps.
const (
	CapPool Cap = "pool" // the pool has as many runners as its max
	CapHost Cap = "host" // one more runner does not fit on the host
)

// Held returns the pools that are at a cap while jobs of theirs lack a runner, and
// which cap that is; one that is at both counts as at its own.
func (s *State) Held() map[string]Cap {
	held := map[string]Cap{}
	for k, g := range s.groups {
		p, ok := s.limits.Pools.Find(k.pool)
		switch {
		case !ok || g.supply >= g.demand || len(g.unserved) == 0:
		case !s.roomInPool(p):
			held[p.Name] = CapPool
		case !s.roomOnHost(p):
			held[p.Name] = CapHost
		}
	}
	return held
}
