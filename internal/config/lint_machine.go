package config

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// machine warns of settings that do not match this machine.
func (l *linter) machine(has pool.Resources) {
	c := l.config
	if has.CPUs != 0 && c.Host.CPUs > has.CPUs {
		l.warn("host.cpus", "host.cpus %v: this machine has %v", c.Host.CPUs, has.CPUs)
	}
	if has.Memory != 0 && int64(c.Host.Memory) > has.Memory {
		l.warn("host.memory", "host.memory %v: this machine has %v", c.Host.Memory, Bytes(has.Memory))
	}
	if _, some := c.positions["aws"]; some {
		l.warn("aws", "aws has no effect without platform: aws")
	}
	for i, p := range c.Pools {
		if p.Image == "" && !c.Image.Watch && c.Launcher != "sandbox" {
			l.warn(fmt.Sprintf("pools[%d]", i), "pool %q has no image and image.watch is off: it gets no runner until you run mayfly image build and mayfly image promote", p.Name)
		}
	}
	l.files()
}

// files warns of files and folders that do not exist.
func (l *linter) files() {
	c := l.config
	if source := c.Image.Source; source != "" {
		if info, err := os.Stat(c.Abs(source)); err != nil || !info.IsDir() {
			l.warn("image.source", "image.source %q: no such folder: mayfly image eject writes one", source)
		}
	}
	if folder := c.Sandbox.Runner; folder != "" && !c.isProgram(filepath.Join(c.Abs(folder), "run.sh")) {
		l.warn("sandbox.runner", "sandbox.runner %q: it has no run.sh: unpack actions-runner-linux-*.tar.gz there, "+
			"from https://github.com/actions/runner/releases", folder)
	}
	for host := range c.Sandbox.Programs {
		if _, err := os.Stat(c.Abs(host)); err != nil {
			l.warn("sandbox.programs", "sandbox.programs %q: no such file or folder on this machine", host)
		}
	}
	for i, r := range c.Rules {
		if r.Target == "command" && len(r.Command) > 0 && !c.isProgram(r.Command[0]) {
			l.warn(fmt.Sprintf("rules[%d].command", i), "rule %q: command %q: no such program on this machine", r.Name, r.Command[0])
		}
	}
}

// isProgram reports whether name is an executable: a path relative to the folder of the file, or a name in PATH.
func (c *Config) isProgram(name string) bool {
	if strings.ContainsRune(name, filepath.Separator) {
		name = c.Abs(name)
	}
	_, err := exec.LookPath(name)
	return err == nil
}

// secrets warns of files with secrets that every user can read.
func (l *linter) secrets() {
	c := l.config
	f := c.connection()
	refs := map[string]SecretRef{f.key + ".token": f.token, "github.app.private_key": c.GitHub.App.PrivateKey}
	for i, ref := range c.Webhook.Secrets {
		refs[fmt.Sprintf("webhook.secrets[%d]", i)] = ref
	}
	for i, r := range c.Rules {
		refs[fmt.Sprintf("rules[%d].secret", i)] = r.Secret
	}
	for path, ref := range refs {
		file, ok := strings.CutPrefix(string(ref), "file:")
		if !ok {
			continue
		}
		if info, err := os.Stat(c.Abs(file)); err == nil && info.Mode().Perm()&0o004 != 0 {
			l.warn(path, "%s %s: every user of this machine can read it: chmod 600 it", path, ref)
		}
	}
}

// leastSecret is how many characters a secret needs against guessing.
const leastSecret = 16

// Lint warns of weak secrets. c is the configuration that they were resolved for.
func (s Secrets) Lint(c *Config) Faults {
	l := linter{config: c}
	for i, one := range s.Webhook {
		if n := len(one.Reveal()); n < leastSecret {
			l.warn(fmt.Sprintf("webhook.secrets[%d]", i), "webhook.secrets[%d]: %d characters can be guessed: use %d or more; openssl rand -hex 32 makes a secret", i, n, leastSecret)
		}
	}
	for i, one := range s.Rules {
		if n := len(one.Reveal()); n > 0 && n < leastSecret {
			l.warn(fmt.Sprintf("rules[%d].secret", i), "rule %q: secret: %d characters can be guessed: use %d or more", c.Rules[i].Name, n, leastSecret)
		}
	}
	return l.found.sorted()
}

// hookPath warns of a webhook URL with a path that mayfly does not serve.
func (l *linter) hookPath() {
	at := l.config.Webhook.URL
	if u, err := url.Parse(at); err == nil && at != "" && u.Path != "/webhook" {
		u.Path = "/webhook"
		l.warn("webhook.url", "webhook.url %q: mayfly serves /webhook: use %s, unless a proxy rewrites the path", at, u)
	}
}
