package config_test

import (
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
		{"same labels", quiet + "- {name: a, labels: [linux, x64]}\n- {name: b, labels: [X64, Linux]}", `6:4: pool "b" never gets a job: pool "a", before it, takes all that it would`},
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
		{"memory typo", quiet + "- {name: a, labels: [linux], memory: 4MiB}", "memory 4MiB: no runner lives on less than 64MiB"},
		{"limits", quiet + "- {name: a, labels: [linux], idle_limit: 7h}", "idle_limit 7h0m0s is longer than total_limit 6h0m0s"},
		{"hosted", quiet + "- {name: a, labels: [linux, ubuntu-24.04]}", `5:29: pool "a": label ubuntu-24.04 is one of GitHub's own runners`},
		{"much like hosted", quiet + "- {name: a, labels: [linux, ubuntu, macosx-1]}", nothing},
		{"open port", "listen: 0.0.0.0:80" + quiet + "- {name: a, labels: [linux]}", `1:9: listen "0.0.0.0:80": deliveries come over the network unencrypted`},
		{"open metrics", "metrics: {listen: \":9464\"}" + quiet + "- {name: a, labels: [linux]}", `1:19: metrics.listen ":9464": whoever reaches it`},
		{"any address", "listen: :80" + quiet + "- {name: a, labels: [linux]}", "deliveries come over the network unencrypted"},
		{"local name", "listen: localhost:80" + quiet + "- {name: a, labels: [linux]}", nothing},
		{"plain http", strings.Replace(quiet, "{token", "{url: http://ghe.example.com, token", 1) + "- {name: a, labels: [linux]}", "credentials go over the network unencrypted"},
		{"unsigned rule", quiet + "- {name: a, labels: [linux]}\nrules:\n- {name: r, pattern: {source: [a]}, target: http, url: 'https://h/'}", `7:4: rule "r": secret is missing`},
		{"plain rule", quiet + "- {name: a, labels: [linux]}\nrules:\n- {name: r, pattern: {source: [a]}, target: http, secret: env:S, url: 'http://h/'}", `rule "r": url "http://h/": events go over the network unencrypted`},
		{"local rule", quiet + "- {name: a, labels: [linux]}\nrules:\n- {name: r, pattern: {source: [a]}, target: http, secret: env:S, url: 'http://127.0.0.1/'}", nothing},
		{"host's network", quiet + "- {name: a, labels: [linux], network: host}", `pool "a": network host: its jobs reach this machine's loopback and, on a cloud's machine, the metadata address`},
		{"runner read-only", "launcher: sandbox\nsandbox: {programs: {/opt/r: /opt/r}}" + quiet + "- {name: a, labels: [linux], network: none, command: [/opt/r/run.sh]}", `command "/opt/r/run.sh" is read-only in the sandbox`},
		{"runner missing", "launcher: sandbox" + quiet + "- {name: a, labels: [linux], network: none}", `command "/home/runner/run.sh" is not in the sandbox`},
		{"runner in home", "launcher: sandbox\nsandbox: {programs: {/opt/r: /home/runner}}" + quiet + "- {name: a, labels: [linux], network: none}", nothing},
		{"runner below home", "launcher: sandbox\nsandbox: {programs: {/opt/r: /home/runner/r/}}" + quiet + "- {name: a, labels: [linux], network: none, command: [/home/runner/r/run.sh]}", nothing},
		{"another program", "launcher: sandbox" + quiet + "- {name: a, labels: [linux], network: none, command: [/opt/mine]}", nothing},
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
		0: "0", 1: "1", 1000: "1KB", 1024: "1KiB", 4 << 30: "4GiB", 3 << 29: "1536MiB", 1e9: "1GB", 1<<40 + 1: "1099511627777",
	} {
		if got := b.String(); got != want {
			t.Errorf("%d bytes: %q, want %q", int64(b), got, want)
		}
	}
}
