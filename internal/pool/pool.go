// Package pool defines what people configure: a [Pool], a named kind of runner, and the routing of
// jobs to pools ([Set.Route]).
package pool

import (
	"cmp"
	"path"
	"strings"
	"time"
)

// A Pool is a named kind of runner: which jobs it takes, what its runners consist of and how many
// there may be.
type Pool struct {
	Name         string
	Labels       []string // a job fits if all of its runs-on labels are here, ignoring case
	Repositories []string // allowed owner/name patterns as in path.Match; empty allows all

	// OfOrganization means that its runners register at the organization of a job's repository: a
	// user's repository has none.
	OfOrganization bool

	Max       int       // maximum number of runners; 0 means no limit
	Resources Resources // of one runner
	PIDs      int       // maximum number of processes and threads of one runner

	Image   string   // container image; ignored by the sandbox
	Command []string // the runner's program inside the container, such as /home/runner/run.sh
	Network Network

	// ReadOnlyRoot makes the image read-only; only home, /tmp and /var/tmp are writable. Home
	// begins as a copy of the image's, which takes time if the runner's program is in there, as in
	// GitHub's own image. The sandbox is always read-only.
	ReadOnlyRoot bool

	Warm      Warm      // runners that listen before there is a job
	Isolation Isolation // of its containers from their host
	Setup     Setup     // of its containers

	RunnerGroup Group         // that GitHub has its runners in
	IdleLimit   time.Duration // a runner that got no job for this long leaves
	TotalLimit  time.Duration // a job that has run for longer is stopped with its runner, as is a runner this old without a job
}

// Folders of every container.
const (
	// Home is the home of the runner's user. GitHub's runner is there, and writes next to itself.
	Home = "/home/runner"

	// CacheFolder is where GitHub's runner caches the addresses of its services (.NET's
	// CommonApplicationData). If it cannot write there, each start takes 0.9 s longer.
	CacheFolder = "/usr/share/GitHubActionsService"
)

// Resources are what one runner uses of a host.
type Resources struct {
	CPUs   float64 // processors
	Memory int64   // bytes
}

// Plus returns the sum.
func (r Resources) Plus(o Resources) Resources {
	return Resources{r.CPUs + o.CPUs, r.Memory + o.Memory}
}

// Fits reports whether r is within limit; zero in limit means no limit.
func (r Resources) Fits(limit Resources) bool {
	return (limit.CPUs == 0 || r.CPUs <= limit.CPUs) && (limit.Memory == 0 || r.Memory <= limit.Memory)
}

// A Network is what a runner can reach.
type Network string

// The networks.
const (
	NetworkOwn  Network = "own"  // the outside, through Mayfly's own bridge; not the host's loopback
	NetworkHost Network = "host" // the host's network
	NetworkNone Network = "none" // nothing
)

// A Set is the pools of a configuration, in the order of its file.
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

// OnHostNetwork returns the name of the first pool whose jobs share the network of their host; "" for none.
func (s Set) OnHostNetwork() string {
	for _, p := range s {
		if p.Network == NetworkHost {
			return p.Name
		}
	}
	return ""
}

// Takes reports whether all of labels are among p's, ignoring case. No pool takes a job without
// labels.
func (p Pool) Takes(labels []string) bool {
	return len(labels) > 0 && len(p.lacks(labels)) == 0
}

// Allows reports whether p serves repository, an owner/name; GitHub ignores the case of both.
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

// Defaults of a pool.
const (
	DefaultCPUs      = 2
	DefaultMemory    = 4 << 30
	DefaultPIDs      = 4096
	DefaultIdleLimit = 5 * time.Minute

	// DefaultTotalLimit is more than the 360 minutes after which GitHub cancels a job that does not say otherwise.
	// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idtimeout-minutes
	DefaultTotalLimit = 390 * time.Minute
)

// WithDefaults returns p with every zero number set to its default.
func (p Pool) WithDefaults() Pool {
	p.Resources.CPUs = cmp.Or(p.Resources.CPUs, DefaultCPUs)
	p.Resources.Memory = cmp.Or(p.Resources.Memory, DefaultMemory)
	p.PIDs = cmp.Or(p.PIDs, DefaultPIDs)
	p.Network = cmp.Or(p.Network, NetworkOwn)
	p.RunnerGroup = cmp.Or(p.RunnerGroup, DefaultGroup)
	p.IdleLimit = cmp.Or(p.IdleLimit, DefaultIdleLimit)
	p.TotalLimit = cmp.Or(p.TotalLimit, DefaultTotalLimit)
	p.Isolation = p.Isolation.WithDefaults()
	p.Setup = p.Setup.WithDefaults(p.Resources.Memory)
	if len(p.Command) == 0 {
		p.Command = []string{Home + "/run.sh"}
	}
	return p
}
