package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Ulimits are limits of processes by name.
type Ulimits map[string]pool.Ulimit

// setup returns what containers of p have.
func (p Pool) setup() pool.Setup {
	return pool.Setup{SharedMemory: int64(p.SharedMemory), Ulimits: p.Ulimits}.WithDefaults(int64(p.Memory))
}

// parseUlimit reads one limit, which is both, or the soft and the hard one.
func parseUlimit(text string) (u pool.Ulimit, ok bool) {
	words := strings.Fields(text)
	if len(words) != 1 && len(words) != 2 {
		return u, false
	}
	soft, softOK := parseLimit(words[0])
	hard, hardOK := parseLimit(words[len(words)-1])
	ordered := hard == pool.Unlimited || soft != pool.Unlimited && soft <= hard
	return pool.Ulimit{Soft: soft, Hard: hard}, softOK && hardOK && ordered
}

func parseLimit(word string) (int64, bool) {
	if word == "unlimited" {
		return pool.Unlimited, true
	}
	n, err := strconv.ParseInt(word, 10, 64)
	return n, err == nil && n >= 0
}

// checkSetup finds what no container can have.
func (d *decoder) checkSetup(at string, p Pool) {
	in := fmt.Sprintf("reading pool %q: ", p.Name)
	for name := range p.Ulimits {
		if !slices.Contains(pool.UlimitNames(), name) {
			d.faultAt(at+".ulimits", "%sulimits %q: %s", in, name, meant(name, pool.UlimitNames()))
		}
	}
	if p.SharedMemory > p.Memory {
		d.faultAt(at+".shm", "%sshm %v is more than memory, %v, as which it counts", in, p.SharedMemory, p.Memory)
	}
}
