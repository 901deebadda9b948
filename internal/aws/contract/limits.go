package contract

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Limits are what a stack's ledger decides by: in its functions, in the commands that read
// it, and in a what-if over its past.
func (s Settings) Limits() ledger.Limits { return Limits(s.Pools, s.RunnersAt) }

// Limits returns the limits of a stack with pools, whose runners are registered at runnersAt.
// Hosts grow as tasks need them, so a pool's own max is the only bound. Where there is no room,
// ECS starts a host first, and keeps tasks waiting for 10 to 30 minutes before it gives up.
func Limits(pools pool.Set, runnersAt string) ledger.Limits {
	return ledger.Limits{
		Pools: pools, Level: ledger.LevelOf(runnersAt),
		Wanted:   10 * time.Minute, // RunTask's rate starts the last of a thousand tasks minutes after the first
		Launch:   35 * time.Minute,
		Starting: 5 * time.Minute,
		Claimed:  5 * time.Minute,
		Checks:   20, // the sweep comes once a minute
	}
}
