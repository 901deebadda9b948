package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// quiet is a file with nothing to warn of.
const quiet = `
github: {token: env:T}
webhook: {at: acme, secrets: [env:S]}
pools:
`

func TestLint(t *testing.T) {
	machine := pool.Resources{CPUs: 8, Memory: 16 << 30}
	const nothing = ""
	for _, c := range []struct{ name, src, want string }{
		{"good", quiet + "- {name: a, labels: [linux]}", nothing},
		{"no sweep", strings.Replace(quiet, "at: acme, ", "", 1) + "- {name: a, labels: [linux]}", "webhook.at is missing"},
		{"same labels", quiet + "- {name: a, labels: [linux, x64]}\n- {name: b, labels: [X64, Linux]}", `6:4: pool "b" never gets a job: pool "a" comes first and takes all of them`},
		{"fewer labels later", quiet + "- {name: a, labels: [linux, x64]}\n- {name: b, labels: [linux]}", `pool "b" never gets a job`},
		{"more labels later", quiet + "- {name: a, labels: [linux]}\n- {name: b, labels: [linux, gpu]}", nothing},
		{"for some first", quiet + "- {name: a, labels: [linux], repositories: [acme/web]}\n- {name: b, labels: [linux]}", nothing},
		{"for all first", quiet + "- {name: a, labels: [linux]}\n- {name: b, labels: [linux], repositories: [acme/web]}", `pool "b" never gets a job`},
		{"for its owner first", quiet + "- {name: a, labels: [linux], repositories: [Acme/*]}\n- {name: b, labels: [linux], repositories: [acme/web, acme/*]}", `pool "b" never gets a job`},
		{"for another owner first", quiet + "- {name: a, labels: [linux], repositories: [acme/*]}\n- {name: b, labels: [linux], repositories: [acme/web, umbrella/*]}", nothing},
		{"one pattern in another", quiet + "- {name: a, labels: [linux], repositories: [acme/*]}\n- {name: b, labels: [linux], repositories: [acme/w*]}", nothing},
		{"cpus", quiet + "- {name: a, labels: [linux], cpus: 9}", `5:36: pool "a" never gets a runner: cpus 9 is more than the 8 that runners may use together`},
		{"memory", quiet + "- {name: a, labels: [linux], memory: 17GiB}", "memory 17GiB is more than the 16GiB that runners may use together"},
		{"memory of the file", "host: {memory: 2GiB}" + quiet + "- {name: a, labels: [linux]}", "memory 4GiB is more than the 2GiB"},
		{"memory typo", quiet + "- {name: a, labels: [linux], memory: 4MiB}", "memory 4MiB: a runner needs at least 64MiB"},
		{"limits", quiet + "- {name: a, labels: [linux], idle_limit: 7h}", "idle_limit 7h0m0s is longer than total_limit 6h30m0s"},
		{"hosted", quiet + "- {name: a, labels: [linux, ubuntu-24.04]}", `5:29: pool "a": GitHub's own runners have label ubuntu-24.04 too, and may take its jobs`},
		{"much like hosted", quiet + "- {name: a, labels: [linux, ubuntu, macosx-1]}", nothing},
		{"open port", "listen: 0.0.0.0:80" + quiet + "- {name: a, labels: [linux]}", `1:9: listen "0.0.0.0:80": deliveries cross the network unencrypted: use 127.0.0.1, behind a`},
		{"open metrics", "metrics: {listen: \":9464\"}" + quiet + "- {name: a, labels: [linux]}", `1:19: metrics.listen ":9464": anyone who can reach it sees the names of pools and rules: use`},
		{"any address", "listen: :80" + quiet + "- {name: a, labels: [linux]}", "deliveries cross the network unencrypted"},
		{"local name", "listen: localhost:80" + quiet + "- {name: a, labels: [linux]}", nothing},
		{"plain http", strings.Replace(quiet, "{token", "{url: http://ghe.example.com, token", 1) + "- {name: a, labels: [linux]}", "credentials cross the network unencrypted"},
		{"unsigned rule", quiet + "- {name: a, labels: [linux]}\nrules:\n- {name: r, pattern: {source: [a]}, target: http, url: 'https://h/'}", `7:4: rule "r": secret is missing`},
		{"plain rule", quiet + "- {name: a, labels: [linux]}\nrules:\n- {name: r, pattern: {source: [a]}, target: http, secret: env:S, url: 'http://h/'}", `rule "r": url "http://h/": events cross the network unencrypted: use https`},
		{"local rule", quiet + "- {name: a, labels: [linux]}\nrules:\n- {name: r, pattern: {source: [a]}, target: http, secret: env:S, url: 'http://127.0.0.1/'}", nothing},
		{"host's network", quiet + "- {name: a, labels: [linux], network: host}", `5:39: pool "a": network host: its jobs reach this machine's loopback and, in a cloud, the`},
		{"host-root", quiet + "- {name: a, labels: [linux], privileges: host-root}", `5:42: pool "a": privileges host-root: a job that escapes from its container is root on this machine`},
		{"sudo", quiet + "- {name: a, labels: [linux], privileges: sudo, docker: engine}", nothing},
		{"sudo in the sandbox", "launcher: sandbox" + quiet + "- {name: a, labels: [linux], network: none, command: [/opt/mine], privileges: sudo}", `pool "a" never gets a runner: the sandbox does not support privileges: set launcher`},
		{"runner read-only", "launcher: sandbox\nsandbox: {programs: {/usr: /opt/r}}" + quiet + "- {name: a, labels: [linux], network: none, command: [/opt/r/run.sh]}", `command "/opt/r/run.sh" is read-only in the sandbox`},
		{"runner missing", "launcher: sandbox" + quiet + "- {name: a, labels: [linux], network: none}", `command "/home/runner/run.sh" is not in the sandbox`},
		{"runner named", "launcher: sandbox\nsandbox: {runner: /usr}" + quiet + "- {name: a, labels: [linux], network: none}", `sandbox.runner "/usr": it has no run.sh: unpack actions-runner-linux-*.tar.gz there, from`},
		{"writable mount", quiet + "- {name: a, labels: [linux], mounts: [{source: /usr, target: /opt/u, writable: true}]}", `5:40: pool "a": mount "/usr" is writable: a job, also one of a pull request, can change what`},
		{"mount not there", quiet + "- {name: a, labels: [linux], mounts: [{source: /no/such, target: /opt/u}]}", `pool "a": mount "/no/such": no such file or folder on this machine`},
		{"mount", quiet + "- {name: a, labels: [linux], mounts: [{source: /usr, target: /opt/u}, {source: volume, target: /opt/v}]}", nothing},
		{"hook not there", quiet + "- {name: a, labels: [linux], hooks: {started: ./none.sh}}", `pool "a": hook "./none.sh": no such file on this machine`},
		{"runner in home", "launcher: sandbox\nsandbox: {programs: {/usr: /home/runner}}" + quiet + "- {name: a, labels: [linux], network: none}", nothing},
		{"runner below home", "launcher: sandbox\nsandbox: {programs: {/usr: /home/runner/r/}}" + quiet + "- {name: a, labels: [linux], network: none, command: [/home/runner/r/run.sh]}", nothing},
		{"another program", "launcher: sandbox" + quiet + "- {name: a, labels: [linux], network: none, command: [/opt/mine]}", nothing},
		{"hook path", strings.Replace(quiet, "at: acme", "at: acme, url: 'https://m.example/'", 1) + "- {name: a, labels: [linux]}", `3:26: webhook.url "https://m.example/": mayfly serves /webhook: use https://m.example/webhook`},
		{"right hook path", strings.Replace(quiet, "at: acme", "at: acme, url: 'https://m.example/webhook'", 1) + "- {name: a, labels: [linux]}", nothing},
		{"no image", "image: {watch: false}" + quiet + "- {name: a, labels: [linux]}", `5:4: pool "a" has no image and image.watch is off`},
		{"no image in the sandbox", "launcher: sandbox\nimage: {watch: false}" + quiet + "- {name: a, labels: [linux], network: none, command: [/opt/mine]}", nothing},
		{"own image", "image: {watch: false}" + quiet + "- {name: a, labels: [linux], image: img}", nothing},
		{"more than the machine", "host: {cpus: 9}" + quiet + "- {name: a, labels: [linux]}", `1:14: host.cpus 9: this machine has 8`},
		{"more memory than the machine", "host: {memory: 20GiB}" + quiet + "- {name: a, labels: [linux]}", `1:16: host.memory 20GiB: this machine has 16GiB`},
		{"AWS on a machine", "aws: {region: eu-central-1}" + quiet + "- {name: a, labels: [linux]}", `1:7: aws has no effect without platform: aws`},
		{"no source", "image: {source: no/such/folder}" + quiet + "- {name: a, labels: [linux]}", `1:17: image.source "no/such/folder": no such folder: mayfly image eject writes one`},
		{"no program", "sandbox: {programs: {/no/such: /opt}}" + quiet + "- {name: a, labels: [linux]}", `sandbox.programs "/no/such": no such file or folder on this machine`},
		{"no command", quiet + "- {name: a, labels: [linux]}\nrules:\n- {name: r, pattern: {source: [a]}, target: command, command: [./no-such, x]}", `7:63: rule "r": command "./no-such": no such program on this machine`},
		{"a command", quiet + "- {name: a, labels: [linux]}\nrules:\n- {name: r, pattern: {source: [a]}, target: command, command: [sh, x]}", nothing},
		{"simulator", strings.Replace(quiet, "{token", "{url: 'http://127.0.0.1:8090', token", 1) + "- {name: a, labels: [linux]}", nothing},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := parse(t, c.src).Lint(machine)
			switch {
			case c.want == "" && len(got) > 0, c.want != "" && len(got) != 1:
				t.Errorf("%d warnings:\n%v\nwant %q", len(got), got, c.want)
			case c.want != "" && !strings.Contains(got.Error(), c.want):
				t.Errorf("%v\nwant %s", got, c.want)
			}
		})
	}
}

// TestLintWithoutMachine: what is not known is not judged by.
func TestLintWithoutMachine(t *testing.T) {
	c := parse(t, quiet+"- {name: a, labels: [linux], cpus: 1000, memory: 1000TiB}")
	if got := c.Lint(pool.Resources{}); len(got) > 0 {
		t.Error(got)
	}
}

func TestBytes(t *testing.T) {
	for b, want := range map[config.Bytes]string{
		0: "0", 1: "1", 1000: "1KB", 1024: "1KiB", 4 << 30: "4GiB", 3 << 29: "1536MiB", 1e9: "1GB", 1<<40 + 1: "1TiB", 24684096 << 10: "23.5GiB", 10_001: "9.8KiB", 9_999: "9999",
	} {
		if got := b.String(); got != want {
			t.Errorf("%d bytes: %q, want %q", int64(b), got, want)
		}
	}
}

// TestSizes reads sizes as Docker, Kubernetes and people write them.
func TestSizes(t *testing.T) {
	for text, want := range map[string]config.Bytes{
		"4GiB": 4 << 30, "4Gi": 4 << 30, "4gib": 4 << 30, "4GB": 4e9, "4G": 4e9, "4g": 4e9, "512Mi": 512 << 20, "512 M": 512e6, "1.5Ti": 3 << 39, "100K": 100e3,
	} {
		c := parse(t, quiet+"- {name: a, labels: [linux], memory: "+text+"}")
		if got := c.Pools[0].Memory; got != want {
			t.Errorf("%s is %d bytes, want %d", text, int64(got), int64(want))
		}
	}
}

// TestLintSecrets warns of secrets that others can read, or try out.
func TestLintSecrets(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"open": 0o644, "closed": 0o640} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("abc\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	src := strings.NewReplacer("env:T", "file:open", "env:S", "env:S, file:closed").Replace(quiet) + "- {name: a, labels: [linux]}"
	c, err := config.Parse(filepath.Join(dir, "m.yaml"), []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Lint(pool.Resources{}); len(got) != 1 || !strings.Contains(got.Error(), ":2:17: github.token file:open: every user of this machine can read it") {
		t.Errorf("%v", got)
	}
	secrets, err := c.Resolve(func(string) (string, bool) { return "0123456789abcdef", true })
	if err != nil {
		t.Fatal(err)
	}
	if got := secrets.Lint(c); len(got) != 1 || !strings.Contains(got.Error(), "3:38: webhook.secrets[1]: 3 characters can be guessed") {
		t.Errorf("%v", got)
	}
}
