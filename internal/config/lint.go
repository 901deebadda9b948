package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// leastMemory is less than any runner gets by with.
const leastMemory = 64 << 20

// Lint returns what is allowed but hardly meant, in the order of the file. machine
// is what this machine has; a figure that is zero is not known and not judged by.
func (c *Config) Lint(machine pool.Resources) Faults {
	l := linter{config: c}
	if c.Platform == PlatformAWS {
		l.aws()
	} else {
		l.host = c.Host.Resources(machine)
		l.machine(machine)
		l.hookPath()
	}
	l.secrets()
	l.exposure()
	for i := range c.Rules {
		l.rule(i)
	}
	for i := range c.Pools {
		l.shadow(i)
		l.size(i)
		l.warm(i)
		l.labels(i)
		if c.Platform == PlatformMachine {
			l.network(i)
			l.mounts(i)
			l.program(i)
			l.isolation(i)
		}
	}
	if c.Webhook.At == "" {
		l.warn("webhook", "webhook.at is missing: deliveries that fail are not asked for again, and their jobs wait until someone does")
	}
	return l.found.sorted()
}

type linter struct {
	config *Config
	host   pool.Resources // zero on AWS
	found  Faults
}

func (l *linter) warn(path, format string, args ...any) {
	l.found = append(l.found, l.config.FaultAt(path, format, args...)...)
}

// FaultAt returns one fault, at the place of a key such as engine.socket, or at what of
// it the file has.
func (c *Config) FaultAt(path, format string, args ...any) Faults {
	d := decoder{file: c.path, positions: c.positions}
	d.faultAt(path, format, args...)
	return d.faults
}

// exposure warns of credentials and deliveries that cross a network in the clear.
func (l *linter) exposure() {
	f := l.config.connection()
	if u, err := url.Parse(f.url); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		l.warn(f.key+".url", "%s.url %q: credentials go over the network unencrypted: want https", f.key, f.url)
	}
	if l.config.Platform != PlatformMachine {
		return
	}
	if host, _, err := net.SplitHostPort(l.config.Metrics.Listen); err == nil && !isLoopback(host) {
		l.warn("metrics.listen", "metrics.listen %q: whoever reaches it sees the names of pools and rules: want 127.0.0.1", l.config.Metrics.Listen)
	}
	if host, _, err := net.SplitHostPort(l.config.Listen); err == nil && !isLoopback(host) {
		l.warn("listen", "listen %q: deliveries come over the network unencrypted: want 127.0.0.1, behind something that speaks TLS", l.config.Listen)
	}
}

// rule warns of an endpoint that anyone on the way could read or imitate.
func (l *linter) rule(i int) {
	r, at := l.config.Rules[i], fmt.Sprintf("rules[%d]", i)
	if u, err := url.Parse(r.URL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		l.warn(at+".url", "rule %q: url %q: events go over the network unencrypted: want https", r.Name, r.URL)
	}
	if r.Target == "http" && r.Secret == "" {
		l.warn(at, "rule %q: secret is missing: whoever is at url cannot tell who sends", r.Name)
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// shadow warns of a pool that can never win: one before it takes all of its jobs.
func (l *linter) shadow(i int) {
	later := l.config.Pools[i]
	for _, earlier := range l.config.Pools[:i] {
		if covers(earlier.Labels, later.Labels) && allows(earlier.Repositories, later.Repositories) {
			l.warn(fmt.Sprintf("pools[%d]", i), "pool %q never gets a job: pool %q, before it, takes all that it would", later.Name, earlier.Name)
			return
		}
	}
}

// covers reports whether all of some is in list, ignoring case.
func covers(list, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool {
		return !slices.ContainsFunc(list, func(l string) bool { return strings.EqualFold(l, s) })
	})
}

// allows reports whether patterns certainly allow each repository that some do.
func allows(patterns, some []string) bool {
	if len(patterns) == 0 || len(some) == 0 {
		return len(patterns) == 0
	}
	p := pool.Pool{Repositories: patterns}
	return !slices.ContainsFunc(some, func(s string) bool {
		isPattern := strings.ContainsAny(s, `*?[\`)
		return !covers(patterns, []string{s}) && (isPattern || !p.Allows(s))
	})
}

// size warns of runners that cannot start, or not live.
func (l *linter) size(i int) {
	p, at := l.config.Pools[i], fmt.Sprintf("pools[%d]", i)
	if l.host.CPUs != 0 && p.CPUs > l.host.CPUs {
		l.warn(at+".cpus", "pool %q never gets a runner: cpus %v is more than the %v that runners may use together", p.Name, p.CPUs, l.host.CPUs)
	}
	if l.host.Memory != 0 && int64(p.Memory) > l.host.Memory {
		l.warn(at+".memory", "pool %q never gets a runner: memory %v is more than the %v that runners may use together", p.Name, p.Memory, Bytes(l.host.Memory))
	}
	if p.Memory < leastMemory {
		l.warn(at+".memory", "pool %q: memory %v: no runner lives on less than %v", p.Name, p.Memory, Bytes(leastMemory))
	}
	if p.IdleLimit > p.TotalLimit {
		l.warn(at+".idle_limit", "pool %q: idle_limit %v is longer than total_limit %v", p.Name, p.IdleLimit, p.TotalLimit)
	}
}

// network warns of what a job can reach that shares the machine's network.
func (l *linter) network(i int) {
	p := l.config.Pools[i]
	if p.Network == string(pool.NetworkHost) {
		l.warn(fmt.Sprintf("pools[%d].network", i), "pool %q: network host: its jobs reach this machine's loopback and, "+
			"on a cloud's machine, the metadata address 169.254.169.254 with the machine's credentials: "+
			"want network: own, or close it as docs/operate.md tells", p.Name)
	}
}

// mounts warns of what jobs share, and of what is not there.
func (l *linter) mounts(i int) {
	p := l.config.Pools[i]
	for j, m := range p.Mounts {
		at, source := fmt.Sprintf("pools[%d].mounts[%d]", i, j), l.config.source(m.Source)
		if m.Writable {
			l.warn(at, "pool %q: mount %q is writable: a job can leave there what the next one runs, also one of a pull request: "+
				"limit the pool to repositories that trust each other", p.Name, m.Source)
		}
		if _, err := os.Stat(source); path.IsAbs(source) && err != nil {
			l.warn(at, "pool %q: mount %q: there is no such file or folder on this machine", p.Name, m.Source)
		}
	}
	for key, script := range map[string]string{"started": p.Hooks.Started, "completed": p.Hooks.Completed} {
		if _, err := os.Stat(l.config.Abs(script)); script != "" && err != nil {
			l.warn(fmt.Sprintf("pools[%d].hooks.%s", i, key), "pool %q: hook %q: there is no such file on this machine", p.Name, script)
		}
	}
}

// program warns of GitHub's runner where the sandbox has it read-only, or not at all: it writes
// beside itself.
func (l *linter) program(i int) {
	p := l.config.Pools[i]
	if l.config.Launcher != "sandbox" || path.Base(p.Command[0]) != "run.sh" {
		return
	}
	program, at := path.Clean(p.Command[0]), fmt.Sprintf("pools[%d].command", i)
	for _, inside := range l.config.SandboxPrograms() {
		switch inside = path.Clean(inside); {
		case !below(program, inside):
		case below(inside, pool.Home):
			return
		default:
			l.warn(at, "pool %q: command %q is read-only in the sandbox, and GitHub's runner writes beside itself: "+
				"set sandbox.runner to its folder, which mounts it at %s", p.Name, p.Command[0], pool.Home)
			return
		}
	}
	l.warn(at, "pool %q: command %q is not in the sandbox: set sandbox.runner to the folder where GitHub's runner is unpacked, "+
		"such as /opt/actions-runner", p.Name, p.Command[0])
}

// below reports whether file is folder or in it.
func below(file, folder string) bool { return file == folder || strings.HasPrefix(file, folder+"/") }

// labels warns of labels that GitHub's own runners have.
// https://docs.github.com/en/actions/reference/runners/github-hosted-runners
func (l *linter) labels(i int) {
	p := l.config.Pools[i]
	if l.config.About().NoHosted {
		return
	}
	for j, label := range p.Labels {
		name, _, dashed := strings.Cut(strings.ToLower(label), "-")
		if dashed && slices.Contains([]string{"ubuntu", "windows", "macos"}, name) {
			l.warn(fmt.Sprintf("pools[%d].labels[%d]", i, j), "pool %q: label %s is one of GitHub's own runners, which may take its jobs", p.Name, label)
		}
	}
}
