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

// leastMemory is less than any runner needs.
const leastMemory = 64 << 20

// Lint returns settings that are allowed but probably mistakes, in the order of the file. machine
// is the capacity of this machine; checks that need an unknown figure (zero) are skipped.
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
		l.warn("webhook", "webhook.at is missing: mayfly cannot request failed deliveries again, and their jobs wait until somebody redelivers them")
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

// FaultAt returns one fault at the position of a key such as engine.socket, or of the nearest
// enclosing section in the file.
func (c *Config) FaultAt(path, format string, args ...any) Faults {
	d := decoder{file: c.path, positions: c.positions}
	d.faultAt(path, format, args...)
	return d.faults
}

// exposure warns of credentials and deliveries that cross a network unencrypted.
func (l *linter) exposure() {
	f := l.config.connection()
	if u, err := url.Parse(f.url); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		l.warn(f.key+".url", "%s.url %q: credentials cross the network unencrypted: use https", f.key, f.url)
	}
	if l.config.Platform != PlatformMachine {
		return
	}
	if host, _, err := net.SplitHostPort(l.config.Metrics.Listen); err == nil && !isLoopback(host) {
		l.warn("metrics.listen", "metrics.listen %q: anyone who can reach it sees the names of pools and rules: use 127.0.0.1", l.config.Metrics.Listen)
	}
	if host, _, err := net.SplitHostPort(l.config.Listen); err == nil && !isLoopback(host) {
		l.warn("listen", "listen %q: deliveries cross the network unencrypted: use 127.0.0.1, behind a TLS proxy", l.config.Listen)
	}
}

// rule warns of an endpoint whose traffic can be read or forged in the network.
func (l *linter) rule(i int) {
	r, at := l.config.Rules[i], fmt.Sprintf("rules[%d]", i)
	if u, err := url.Parse(r.URL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		l.warn(at+".url", "rule %q: url %q: events cross the network unencrypted: use https", r.Name, r.URL)
	}
	if r.Target == "http" && r.Secret == "" {
		l.warn(at, "rule %q: secret is missing: the receiver cannot verify that events come from mayfly", r.Name)
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// shadow warns of a pool that never gets a job, because an earlier pool takes all of its jobs.
func (l *linter) shadow(i int) {
	later := l.config.Pools[i]
	for _, earlier := range l.config.Pools[:i] {
		if covers(earlier.Labels, later.Labels) && allows(earlier.Repositories, later.Repositories) {
			l.warn(fmt.Sprintf("pools[%d]", i), "pool %q never gets a job: pool %q comes first and takes all of them", later.Name, earlier.Name)
			return
		}
	}
}

// covers reports whether list contains all of some, ignoring case.
func covers(list, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool {
		return !slices.ContainsFunc(list, func(l string) bool { return strings.EqualFold(l, s) })
	})
}

// allows reports whether patterns certainly allow every repository that some allow. If it cannot
// tell, as for two different patterns, it says no: no warning is better than a wrong one.
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

// size warns of runners that cannot start or cannot work.
func (l *linter) size(i int) {
	p, at := l.config.Pools[i], fmt.Sprintf("pools[%d]", i)
	if l.host.CPUs != 0 && p.CPUs > l.host.CPUs {
		l.warn(at+".cpus", "pool %q never gets a runner: cpus %v is more than the %v that runners may use together", p.Name, p.CPUs, l.host.CPUs)
	}
	if l.host.Memory != 0 && int64(p.Memory) > l.host.Memory {
		l.warn(at+".memory", "pool %q never gets a runner: memory %v is more than the %v that runners may use together", p.Name, p.Memory, Bytes(l.host.Memory))
	}
	if p.Memory < leastMemory {
		l.warn(at+".memory", "pool %q: memory %v: a runner needs at least %v", p.Name, p.Memory, Bytes(leastMemory))
	}
	if p.IdleLimit > p.TotalLimit {
		l.warn(at+".idle_limit", "pool %q: idle_limit %v is longer than total_limit %v", p.Name, p.IdleLimit, p.TotalLimit)
	}
}

// network warns of what jobs can reach if they share the machine's network.
func (l *linter) network(i int) {
	p := l.config.Pools[i]
	if p.Network == string(pool.NetworkHost) {
		l.warn(fmt.Sprintf("pools[%d].network", i), "pool %q: network host: its jobs reach this machine's loopback and, "+
			"in a cloud, the metadata address 169.254.169.254 with the machine's credentials: "+
			"use network: own, or block the address as in docs/operate.md", p.Name)
	}
}

// mounts warns of files that jobs share, and of files that do not exist.
func (l *linter) mounts(i int) {
	p := l.config.Pools[i]
	for j, m := range p.Mounts {
		at, source := fmt.Sprintf("pools[%d].mounts[%d]", i, j), l.config.source(m.Source)
		if m.Writable {
			l.warn(at, "pool %q: mount %q is writable: a job, also one of a pull request, can change what later jobs run: "+
				"limit the pool to repositories that trust each other", p.Name, m.Source)
		}
		if _, err := os.Stat(source); path.IsAbs(source) && err != nil {
			l.warn(at, "pool %q: mount %q: no such file or folder on this machine", p.Name, m.Source)
		}
	}
	for key, script := range map[string]string{"started": p.Hooks.Started, "completed": p.Hooks.Completed} {
		if _, err := os.Stat(l.config.Abs(script)); script != "" && err != nil {
			l.warn(fmt.Sprintf("pools[%d].hooks.%s", i, key), "pool %q: hook %q: no such file on this machine", p.Name, script)
		}
	}
}

// program warns if the sandbox does not have GitHub's runner, or has it read-only: the runner
// writes to its own folder.
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
			l.warn(at, "pool %q: command %q is read-only in the sandbox, but GitHub's runner writes to its own folder: "+
				"set sandbox.runner to its folder, which mounts it at %s", p.Name, p.Command[0], pool.Home)
			return
		}
	}
	l.warn(at, "pool %q: command %q is not in the sandbox: set sandbox.runner to the folder where GitHub's runner is unpacked, "+
		"such as /opt/actions-runner", p.Name, p.Command[0])
}

// below reports whether file is folder or inside it.
func below(file, folder string) bool { return file == folder || strings.HasPrefix(file, folder+"/") }

// labels warns of labels of GitHub's own runners.
// https://docs.github.com/en/actions/reference/runners/github-hosted-runners
func (l *linter) labels(i int) {
	p := l.config.Pools[i]
	if l.config.About().NoHosted {
		return
	}
	for j, label := range p.Labels {
		name, _, dashed := strings.Cut(strings.ToLower(label), "-")
		if dashed && slices.Contains([]string{"ubuntu", "windows", "macos"}, name) {
			l.warn(fmt.Sprintf("pools[%d].labels[%d]", i, j), "pool %q: GitHub's own runners have label %s too, and may take its jobs", p.Name, label)
		}
	}
}
