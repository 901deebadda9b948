package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Ulimits are limits for each process, by name.
type Ulimits map[string]pool.Ulimit

// hookFolder is where containers have the hooks.
const hookFolder = "/opt/mayfly/hooks"

// setup returns the setup of p's containers. p.Env comes last, so that a person's own
// variables win.
func (c *Config) setup(p Pool) pool.Setup {
	s := pool.Setup{SharedMemory: int64(p.SharedMemory), Ulimits: p.Ulimits, DNS: p.DNS}.WithDefaults(int64(p.Memory))
	env := c.Proxy.Env()
	for _, m := range p.Mounts {
		s.Mounts = append(s.Mounts, pool.Mount{Source: c.source(m.Source), Target: path.Clean(m.Target), Writable: m.Writable})
	}
	// https://docs.github.com/en/actions/how-tos/manage-runners/self-hosted-runners/run-scripts
	for _, h := range []struct{ variable, script, file string }{
		{"ACTIONS_RUNNER_HOOK_JOB_STARTED", p.Hooks.Started, "started.sh"}, {"ACTIONS_RUNNER_HOOK_JOB_COMPLETED", p.Hooks.Completed, "completed.sh"},
	} {
		if h.script != "" {
			inside := path.Join(hookFolder, h.file)
			s.Mounts = append(s.Mounts, pool.Mount{Source: c.Abs(h.script), Target: inside})
			env[h.variable] = inside
		}
	}
	maps.Copy(env, p.Env)
	if len(env) > 0 {
		s.Env = env
	}
	return s
}

// source returns a mount's source: an absolute path, or the name of a volume, which has no slash.
func (c *Config) source(name string) string {
	if strings.Contains(name, "/") {
		return filepath.Clean(c.Abs(name))
	}
	return name
}

// Env returns the variables that tell programs about the proxy. Some programs read only the lower
// case, some only the upper: curl ignores HTTP_PROXY, and GitHub's runner reads either.
// https://github.com/actions/runner/blob/main/src/Runner.Sdk/RunnerWebProxy.cs
func (x Proxy) Env() map[string]string {
	env := map[string]string{}
	if x.URL == "" {
		return env
	}
	except := strings.Join(append([]string{"localhost", "127.0.0.1"}, x.Except...), ",")
	for name, value := range map[string]string{"http_proxy": x.URL, "https_proxy": x.URL, "no_proxy": except} {
		env[name], env[strings.ToUpper(name)] = value, value
	}
	return env
}

// SandboxPrograms returns what to mount into sandboxes, including GitHub's runner: absolute path here → path inside.
func (c *Config) SandboxPrograms() map[string]string {
	all := map[string]string{}
	for host, inside := range c.Sandbox.Programs {
		all[c.Abs(host)] = inside
	}
	if c.Sandbox.Runner != "" {
		all[c.Abs(c.Sandbox.Runner)] = pool.Home
	}
	return all
}

// checkSandbox finds programs that would be mounted over GitHub's runner.
func (c *Config) checkSandbox(d *decoder) {
	if c.Sandbox.Runner == "" {
		return
	}
	for host, inside := range c.Sandbox.Programs {
		if path.Clean(inside) == pool.Home || c.Abs(host) == c.Abs(c.Sandbox.Runner) {
			d.faultAt("sandbox.programs", "reading sandbox: programs %q: %q conflicts with runner, which is mounted at %s: remove one of them", host, inside, pool.Home)
		}
	}
}

// unfit returns why runners cannot get a variable of this name, or "".
func unfit(name string) string {
	switch {
	case !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name):
		return "want letters, digits and _, not a digit first"
	case strings.HasPrefix(name, "MAYFLY_"), strings.HasPrefix(name, "ACTIONS_RUNNER_INPUT_"), strings.HasPrefix(name, "AWS_CONTAINER_"), name == "RUNNER_MANUALLY_TRAP_SIG":
		return "it is set by mayfly or AWS: remove it"
	}
	return ""
}

// checkMounts finds mounts that hide what a runner needs, or that would let a job take over this machine.
func (c *Config) checkMounts(d *decoder, at string, p Pool) {
	in := fmt.Sprintf("reading pool %q: ", p.Name)
	for i, m := range p.Mounts {
		here, source, target := fmt.Sprintf("%s.mounts[%d]", at, i), c.source(m.Source), path.Clean(m.Target)
		switch {
		case !path.IsAbs(m.Target) || target == "/":
			d.faultAt(here+".target", "%smounts: target %q: want an absolute path below /", in, m.Target)
		case slices.ContainsFunc([]string{"/proc", "/sys", "/dev", "/run/mayfly", "/opt/mayfly"}, func(own string) bool { return below(target, own) || below(own, target) }):
			d.faultAt(here+".target", "%smounts: target %q would hide what the runner needs: choose another path, such as /opt/tools", in, m.Target)
		case !path.IsAbs(source):
			if !regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`).MatchString(source) {
				d.faultAt(here+".source", "%smounts: source %q: want a path with a slash in it, or the name of a volume", in, m.Source)
			}
		case slices.ContainsFunc(c.sockets(), func(socket string) bool { return below(socket, source) }):
			d.faultAt(here+".source", "%smounts: source %q contains the container engine's socket, which makes a job root on this machine: choose another folder", in, m.Source)
		case below(c.Abs(c.State), source) || below(source, c.Abs(c.State)):
			d.faultAt(here+".source", "%smounts: source %q contains mayfly's state, including the claims of other runners: choose another folder", in, m.Source)
		}
	}
	for key, script := range map[string]string{"started": p.Hooks.Started, "completed": p.Hooks.Completed} {
		if script != "" && path.Ext(script) != ".sh" {
			d.faultAt(at+".hooks."+key, "%shooks: %s %q: GitHub's runner requires a name that ends in .sh", in, key, script)
		}
	}
}

// sockets returns the paths where an engine may listen.
func (c *Config) sockets() []string {
	usual := []string{"/run/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock", "/var/run/podman/podman.sock"}
	if c.Engine.Socket != "" {
		usual = append(usual, c.Abs(c.Engine.Socket))
	}
	return usual
}

// checkProxy finds an invalid address, and one that would show a password to jobs.
func (c *Config) checkProxy(d *decoder) {
	u, err := url.Parse(c.Proxy.URL)
	switch {
	case c.Proxy.URL == "" && len(c.Proxy.Except) > 0:
		d.faultAt("proxy", "reading proxy: except without url: set url, such as http://proxy.example.com:3128")
	case c.Proxy.URL == "":
	case err == nil && u.User != nil:
		d.faultAt("proxy.url", "reading proxy: url has credentials, which every job could read: use a proxy that admits this machine by its address")
	case err != nil || !isWeb(u):
		d.faultAt("proxy.url", "reading proxy: url %q: want an address, such as http://proxy.example.com:3128", c.Proxy.URL)
	}
}

// checkSetupOnAWS finds settings that need files of a host: ECS hosts come and go, and have none.
func (p Pool) checkSetupOnAWS(d *decoder, at string) {
	in := fmt.Sprintf("reading pool %q: ", p.Name)
	if len(p.Mounts) > 0 {
		d.faultAt(at+".mounts", "%smounts are not supported on AWS, where hosts come and go without your files: put files into the image (docs/image.md)", in)
	}
	if p.Hooks != (Hooks{}) {
		d.faultAt(at+".hooks", "%shooks are not supported on AWS, where hosts do not have your files: put the scripts into the image, and set ACTIONS_RUNNER_HOOK_JOB_STARTED and ACTIONS_RUNNER_HOOK_JOB_COMPLETED in env", in)
	}
}

// parseUlimit reads one value, which sets both limits, or a soft and a hard one.
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

// checkSetup finds settings that no container can have.
func (d *decoder) checkSetup(at string, p Pool) {
	in := fmt.Sprintf("reading pool %q: ", p.Name)
	for name := range p.Ulimits {
		if !slices.Contains(pool.UlimitNames(), name) {
			d.faultAt(at+".ulimits", "%sulimits %q: %s", in, name, meant(name, pool.UlimitNames()))
		}
	}
	for name := range p.Env {
		if reason := unfit(name); reason != "" {
			d.faultAt(at+".env", "%senv %q: %s", in, name, reason)
		}
	}
	for i, server := range p.DNS {
		if _, err := netip.ParseAddr(server); err != nil {
			d.faultAt(fmt.Sprintf("%s.dns[%d]", at, i), "%sdns %q: want an address, such as 10.0.0.2", in, server)
		}
	}
	if p.SharedMemory > p.Memory {
		d.faultAt(at+".shm", "%sshm %v is more than memory %v, which includes it", in, p.SharedMemory, p.Memory)
	}
}
