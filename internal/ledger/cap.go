package ledger

// A Cap is a limit that keeps jobs waiting.
type Cap string

// The caps.
const (
	CapPool Cap = "pool" // the pool has its maximum number of runners
	CapHost Cap = "host" // the host has no room for another runner of the pool
)

// Held returns the pools whose jobs wait because of a cap, and which cap that is. CapPool takes
// precedence.
func (s *State) Held() map[string]Cap {
	held := map[string]Cap{}
	for k, g := range s.groups {
		p, ok := s.limits.Pools.Find(k.pool)
		switch {
		case !ok || g.supply >= g.demand || len(g.unserved) == 0 || s.warmServe(k):
		case !s.roomInPool(p):
			held[p.Name] = CapPool
		case !s.roomOnHost(p):
			held[p.Name] = CapHost
		}
	}
	return held
}
