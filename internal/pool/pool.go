// Package pool has the noun that a person configures: a [Pool], a named kind of
// runner, and the routing of jobs to pools ([Set.Route]).
package pool

import (
	"cmp"
	"path"
	"strings"
	"time"
)

// A Pool is a named kind of runner: which jobs it takes, what its runners are
// made of and how many there may be.
type Pool struct {
	Name         string
	Labels       []string // a job fits when each of its runs-on labels is here, ignoring case
	Repositories []string // allowed owner/name patterns as in path.Match; empty allows all

	// OfOrganization says that its runners are registered at the organization of a job's repository:
	// that of a user has none.
	OfOrganization bool

	Max       int       // runners at once, at most; 0 means no limit of its own
	Resources Resources // of one runner
	PIDs      int       // processes and threads of one runner, at most

	Image   string   // container image; unused by the sandbox
	Command []string // the runner's program inside the container, such as /home/runner/run.sh
	Network Network

	// ReadOnlyRoot makes the image read-only; only home, /tmp and /var/tmp can
	// be written then. Home begins as a copy of the image's, which takes its time when the
	// runner's program is in there, as in GitHub's own. The sandbox is always so.
	ReadOnlyRoot bool

	Warm      Warm      // runners that listen before there is a job
	Isolation Isolation // of its containers from their host
	Setup     Setup     // of its containers

	RunnerGroup int64         // id of the GitHub runner group; 1 is the default group
	IdleLimit   time.Duration // a runner that got no job for this long leaves
	TotalLimit  time.Duration // a job that has run for longer is stopped with its runner, as is a runner this old without a job
}

// Folders of every container.
const (
	// Home is the home of the runner's user. GitHub's runner is there, and writes beside itself.
	Home = "/home/runner"

	// CacheFolder is where GitHub's runner keeps the addresses of its services (.NET's
	// CommonApplicationData). Where it cannot write there, each start takes 0.9 s longer.
	CacheFolder = "/usr/share/GitHubActionsService"
)

// Resources are what one runner takes of a host.
type Resources struct {
	CPUs   float64 // processors
	Memory int64   // bytes
}

// Plus adds two needs up.
func (r Resources) Plus(o Resources) Resources {
	return Resources{r.CPUs + o.CPUs, r.Memory + o.Memory}
}

// Fits reports whether r is within limit; a zero figure of limit is no limit.
func (r Resources) Fits(limit Resources) bool {
	return (limit.CPUs == 0 || r.CPUs <= limit.CPUs) && (limit.Memory == 0 || r.Memory <= limit.Memory)
}

// A Network says what a runner can reach.
type Network string

// The networks.
const (
	NetworkOwn  Network = "own"  // outside, through a bridge of Mayfly's own; the host's loopback is out of reach
	NetworkHost Network = "host" // the host's network as it is
	NetworkNone Network = "none" // nothing
)

// A Set is the pools of one configuration, in the order of its file.
type Set []Pool

// Find returns the pool called name.
func (s Set) Find(name string) (Pool, bool) {
	for _, p := range s {
		if p.Name == name {
			return p, true
		}
	}
	return Pool{}, false
}

// Takes reports whether each of labels is among p's, ignoring case. A job
// without labels is taken by no pool: GitHub sends none for such jobs.
func (p Pool) Takes(labels []string) bool {
	return len(labels) > 0 && len(p.lacks(labels)) == 0
}

// Allows reports whether p serves repository, an owner/name; GitHub ignores
// the case of both.
func (p Pool) Allows(repository string) bool {
	for _, pattern := range p.Repositories {
		if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(repository)); ok {
			return true
		}
	}
	return len(p.Repositories) == 0
}

func containsFold(list []string, s string) bool {
	for _, l := range list {
		if strings.EqualFold(l, s) {
			return true
		}
	}
	return false
}

// Default figures of a pool that names none.
const (
	DefaultCPUs      = 2
	DefaultMemory    = 4 << 30
	DefaultPIDs      = 4096
	DefaultIdleLimit = 5 * time.Minute

	// DefaultTotalLimit is more than the 360 minutes after which GitHub cancels a job that does not say otherwise.
	// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idtimeout-minutes
	DefaultTotalLimit = 390 * time.Minute
)

// WithDefaults returns p with every figure that is zero set to its default.
func (p Pool) WithDefaults() Pool {
	p.Resources.CPUs = cmp.Or(p.Resources.CPUs, DefaultCPUs)
	p.Resources.Memory = cmp.Or(p.Resources.Memory, DefaultMemory)
	p.PIDs = cmp.Or(p.PIDs, DefaultPIDs)
	p.Network = cmp.Or(p.Network, NetworkOwn)
	p.RunnerGroup = cmp.Or(p.RunnerGroup, 1)
	p.IdleLimit = cmp.Or(p.IdleLimit, DefaultIdleLimit)
	p.TotalLimit = cmp.Or(p.TotalLimit, DefaultTotalLimit)
	p.Isolation = p.Isolation.WithDefaults()
	p.Setup = p.Setup.WithDefaults(p.Resources.Memory)
	if len(p.Command) == 0 {
		p.Command = []string{Home + "/run.sh"}
	}
	return p
}
