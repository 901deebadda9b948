package contract

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Limits are what a stack's ledger decides by: in its functions, in the commands that read
// it, and in a what-if over its past.
func (s Settings) Limits() ledger.Limits { return Limits(s.Pools, s.RunnersAt, s.Hosts) }

// Limits returns the limits of a stack with pools, whose runners are registered at runnersAt.
// Hosts start as tasks need them, up to their number: a task beyond would wait for 10 to 30 minutes until
// ECS gives it up, and so none is started.
func Limits(pools pool.Set, runnersAt string, hosts []pool.Hosts) ledger.Limits {
	return ledger.Limits{
		Pools: pools, Level: ledger.LevelOf(runnersAt), Hosts: hosts,
		Wanted:   10 * time.Minute, // RunTask's rate starts the last of a thousand tasks minutes after the first
		Launch:   35 * time.Minute,
		Starting: 5 * time.Minute,
		Claimed:  5 * time.Minute,
		Checks:   20, // the sweep comes once a minute
	}
}
