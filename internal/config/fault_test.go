package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// good is the least that a file must say; faults are put into it.
const good = `github: {token: env:T}
webhook: {secrets: [env:S]}
pools:
  - {name: small, labels: [linux]}
`

// rule is a file's beginning with a rule that says more.
func rule(more string) string {
	return "rules: [{name: r, pattern: {source: [a]}, " + more + "}]\ngithub:"
}

// TestFaults: each change of the good file gives just these faults.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"nothing", "", "", ""},
		{"size", "labels: [linux]", "labels: [linux], memory: 4 gigs", `4:44: reading pool "small": memory "4 gigs": want a number and a unit, such as 4GiB`},
		{"size without unit", "labels: [linux]", "labels: [linux], memory: 4", `4:44: reading pool "small": memory "4": want a number and a unit, such as 4GiB`},
		{"no size", "labels: [linux]", "labels: [linux], memory: 0GiB", `4:44: reading pool "small": memory "0GiB": want a number and a unit, such as 4GiB`},
		{"number", "labels: [linux]", "labels: [linux], cpus: two", `4:42: reading pool "small": cpus "two": want a number`},
		{"odd number", "labels: [linux]", "labels: [linux], cpus: nan", `4:42: reading pool "small": cpus "nan": want a number`},
		{"small number", "labels: [linux]", "labels: [linux], pids: 1", `4:42: reading pool "small": pids "1": want 16 or more`},
		{"fraction", "labels: [linux]", "labels: [linux], max: 1.5", `4:41: reading pool "small": max "1.5": want a whole number`},
		{"variable", "labels: [linux]", "labels: [linux], env: {1A: x}", `reading pool "small": env "1A": want letters, digits and _`},
		{"our variable", "labels: [linux]", "labels: [linux], env: {MAYFLY_RUNNER: x}", `env "MAYFLY_RUNNER": it is set by mayfly or AWS`},
		{"name server", "labels: [linux]", "labels: [linux], dns: [one.one]", `dns "one.one": want an address, such as 10.0.0.2`},
		{"relative target", "labels: [linux]", "labels: [linux], mounts: [{source: /a, target: b}]", `mounts: target "b": want an absolute path below /`},
		{"hiding target", "labels: [linux]", "labels: [linux], mounts: [{source: /a, target: /run}]", `reading pool "small": mounts: target "/run" would hide what the runner needs: choose`},
		{"odd volume", "labels: [linux]", "labels: [linux], mounts: [{source: '-x', target: /b}]", `mounts: source "-x": want a path with a slash in it, or the name of a volume`},
		{"engine's socket", "labels: [linux]", "labels: [linux], mounts: [{source: /var/run/docker.sock, target: /b}]", `contains the container engine's socket, which makes a job root`},
		{"above the socket", "labels: [linux]", "labels: [linux], mounts: [{source: /run, target: /b}]", `contains the container engine's socket, which makes a job root`},
		{"mayfly's state", "labels: [linux]", "labels: [linux], mounts: [{source: /var/lib, target: /b}]", `reading pool "small": mounts: source "/var/lib" contains mayfly's state, including the`},
		{"no hook", "labels: [linux]", "labels: [linux], hooks: {started: hook}", `reading pool "small": hooks: started "hook": GitHub's runner requires a name that ends in`},
		{"proxy with password", "pools:", "proxy: {url: 'http://a:b@c:1'}\npools:", `reading proxy: url has credentials, which every job could read: use a proxy that admits`},
		{"proxy without scheme", "pools:", "proxy: {url: 'proxy:3128'}\npools:", `reading proxy: url "proxy:3128": want an address, such as http://proxy.example.com:3128`},
		{"no proxy to except from", "pools:", "proxy: {except: [a]}\npools:", `reading proxy: except without url`},
		{"two runners", "pools:", "sandbox: {runner: /r, programs: {/s: /home/runner/}}\npools:", `reading sandbox: programs "/s": "/home/runner/" conflicts with runner, which is mounted`},
		{"package", "pools:", "image: {packages: [abc, '-o X']}\npools:", `reading image: packages "-o X": want the name of a package`},
		{"limit", "labels: [linux]", "labels: [linux], ulimits: {nofile: 2 1}", `reading pool "small": ulimits "nofile" "2 1": want a number or unlimited, or two of them`},
		{"negative limit", "labels: [linux]", "labels: [linux], ulimits: {nofile: -1}", `ulimits "nofile" "-1": want a number or unlimited`},
		{"name of a limit", "labels: [linux]", "labels: [linux], ulimits: {nofiles: 1}", `reading pool "small": ulimits "nofiles": did you mean nofile?`},
		{"much shm", "labels: [linux]", "labels: [linux], shm: 5GiB", `4:41: reading pool "small": shm 5GiB is more than memory 4GiB, which includes it`},
		{"yes", "labels: [linux]", "labels: [linux], read_only_root: yes", `4:52: reading pool "small": read_only_root "yes": want true or false`},
		{"duration", "labels: [linux]", "labels: [linux], idle_limit: 5", `4:48: reading pool "small": idle_limit "5": want a number of more than 0 and a unit, such as 30s, 5m, 6h or 2d`},
		{"no duration", "labels: [linux]", "labels: [linux], total_limit: 0s", `4:49: reading pool "small": total_limit "0s": want a number of more than 0 and a unit`},
		{"one of", "labels: [linux]", "labels: [linux], network: hots", `4:45: reading pool "small": network "hots": did you mean host?`},
		{"privileges", "labels: [linux]", "labels: [linux], privileges: root", `reading pool "small": privileges "root": want strict, sudo or host-root`},
		{"runtime", "labels: [linux]", "labels: [linux], runtime: /usr/bin/runsc", `4:45: reading pool "small": runtime "/usr/bin/runsc": want the name of a runtime of the engine`},
		{"disk without engine", "labels: [linux]", "labels: [linux], docker_disk: 1GiB", `4:49: reading pool "small": docker_disk without docker: engine`},
		{"small disk", "labels: [linux]", "labels: [linux], docker: engine, docker_disk: 1MiB", `4:65: reading pool "small": docker_disk 1MiB: want 256MiB or more`},
		{"engine of host-root", "labels: [linux]", "labels: [linux], docker: engine, privileges: host-root", `4:64: reading pool "small": privileges host-root with docker: engine`},
		{"mirror", "github:", "docker_mirror: mirror.example.com\ngithub:", `1:16: docker_mirror "mirror.example.com": want an address without a password`},
		{"secret in a mirror", "github:", "docker_mirror: 'https://u:hunter2@m'\ngithub:", `1:16: docker_mirror "https://u:xxxxx@m": want`},
		{"none of", "github:", "launcher: docker\ngithub:", `1:11: launcher "docker": want auto, engine or sandbox`},
		{"warm", "labels: [linux]", "labels: [linux], warm: {runners: 1, at: [acme/web]}", ""},
		{"warm number", "labels: [linux]", "labels: [linux], warm: two", `4:42: reading pool "small": warm "two": want a whole number`},
		{"warm nowhere", "labels: [linux]", "labels: [linux], warm: 2", `4:42: reading pool "small": warm without at: set repositories, such as at: [acme/web]`},
		{"warm at an organization", "labels: [linux]", "labels: [linux], warm: {runners: 1, at: [acme]}", `4:60: reading pool "small": warm.at "acme": want repositories, such as at: [acme/web], as runners_at is repository`},
		{"warm elsewhere", "labels: [linux]", "labels: [linux], repositories: [acme/*], warm: {runners: 1, at: [beta/web]}", `warm.at "beta/web": the pool does not serve this repository`},
		{"warm window", "labels: [linux]", "labels: [linux], warm: {at: [acme/web], schedule: [{at: 8-18, runners: 1}]}", `reading pool "small": warm.schedule: "8-18": want days and hours, such as Mon-Fri 08:00-18:00`},
		{"warm zone", "labels: [linux]", "labels: [linux], warm: {at: [acme/web], schedule: [{at: '08:00-18:00', zone: Mars, runners: 1}]}", `zone "Mars": want a name of the time zone database`},
		{"near key", "labels", "lables", "4:6: reading pool \"small\": labels is missing: want the pool's labels\n4:19: reading pool \"small\": key \"lables\" is not known: did you mean labels?"},
		{"far key", "github:", "kubernetes: x\ngithub:", `1:1: key "kubernetes" is not known: want forge, github, gitea, webhook, platform, aws, listen, state, launcher, engine, sandbox, image, docker_mirror, host, archive, proxy, ca_file, metrics, page, rules or pools`},
		{"near no key", "{token: env:T}", "{token: env:T, e: 1}", `1:24: reading github: key "e" is not known: want url, app, token, ca_file or runners_at`},
		{"text for a list", "[linux]", "linux", `4:27: reading pool "small": labels: want a list`},
		{"list for a text", "small", "[small]", `4:12: reading pool 1: name: want a text`},
		{"text for a section", "{token: env:T}", "nobody", `1:9: reading github: want keys and values`},
		{"text for an item", "{name: small, labels: [linux]}", "small", `4:5: reading pool 1: want keys and values`},
		{"no pools", "\n  - {name: small, labels: [linux]}", " []", `3:8: pools is empty: want one at least`},
		{"literal token", "env:T", "ghp_0123456789", `1:17: reading github: token: want env:NAME or file:PATH: secrets are not written in this file`},
		{"literal secret", "env:S", "hunter2", `2:21: reading webhook: secrets: want env:NAME or file:PATH: secrets are not written in this file`},
		{"empty reference", "env:S", `"env:"`, `2:21: reading webhook: secrets: want env:NAME or file:PATH`},
		{"three secrets", "env:S", "env:A, env:B, env:C", `2:20: reading webhook: 3 secrets: want one, or two during a rotation`},
		{"app and token", "{token: env:T}", "{token: env:T, app: {id: 1, private_key: file:k}}", `1:17: reading github: token and app are both set: set only one of them`},
		{"neither app nor token", "{token: env:T}", "{url: https://github.com}", `1:10: reading github: neither app nor token is set: set one of them`},
		{"half an app", "{token: env:T}", "{app: {id: 1}}", `1:16: reading github.app: private_key is missing: want the App's private key, in PEM form`},
		{"url", "{token: env:T}", "{token: env:T, url: github.com}", `1:29: reading github: url "github.com": want the address of GitHub, such as https://github.com`},
		{"url with a path", "{token: env:T}", `{token: env:T, url: "https://github.com/acme"}`, `1:29: reading github: url "https://github.com/acme": want the address`},
		{"webhook url", "webhook: {", `webhook: {url: "https://u:p@h/webhook", `, `2:16: reading webhook: url "https://u:p@h/webhook": want an address`},
		{"webhook at", "webhook: {", `webhook: {at: acme/web/x, `, `2:15: reading webhook: at "acme/web/x": want app, an organization, OWNER/REPOSITORY or enterprises/SLUG`},
		{"group of a repository", "labels: [linux]", "labels: [linux], runner_group: builds", `4:50: reading pool "small": runner_group "builds": only organizations and enterprises have runner groups; set github.runners_at`},
		{"runners at", "{token: env:T}", "{token: env:T, runners_at: acme}", `1:36: reading github: runners_at "acme": want repository, organization or enterprises/SLUG`},
		{"short archive", "github:", "archive: {keep: 71h}\ngithub:", `1:17: reading archive: keep 71h0m0s: want 72h0m0s or more, as long as GitHub redelivers`},
		{"archive without a unit", "github:", "archive: {keep: 96}\ngithub:", `1:17: reading archive: keep "96": want a number of more than 0 and a unit, such as 30s, 5m, 6h or 2d`},
		{"port", "github:", "listen: ':99999'\ngithub:", `1:9: listen ":99999": port 99999: want a number of 65535 at most`},
		{"metrics at the port of deliveries", "github:", "listen: 127.0.0.1:9000\nmetrics: {listen: 127.0.0.1:9000}\ngithub:", `2:19: reading metrics: listen "127.0.0.1:9000" is the address for deliveries: choose another`},
		{"url of the API", "{token: env:T}", `{token: env:T, url: "https://api.github.com"}`, `1:29: reading github: url "https://api.github.com": this is the API's: want the address for a browser, https://github.com`},
		{"url of an API with data residency", "{token: env:T}", `{token: env:T, url: "https://api.acme.ghe.com"}`, `the address for a browser, https://acme.ghe.com`},
		{"url of a server's API", "{token: env:T}", `{token: env:T, url: "https://ghe.acme.example/api/v3"}`, `the address for a browser, https://ghe.acme.example`},
		{"client id", "{token: env:T}", `{app: {id: Iv23liAbCdEfGhIjKlMn, private_key: file:k}}`, `1:20: reading github.app: id "Iv23liAbCdEfGhIjKlMn": this is the App's client id: want its App`},
		{"events without jobs", "webhook: {", `webhook: {events: [workflow_run, ping], `, `2:19: reading webhook: events workflow_run, ping: without workflow_job no job would get a`},
		{"feed", "github:", "image: {feed: nonsense}\ngithub:", `1:15: reading image: feed "nonsense": want an address, such as https://api.github.com`},
		{"downloads", "github:", "image: {downloads: nonsense}\ngithub:", `1:20: reading image: downloads "nonsense": want an address`},
		{"canary", "github:", "image: {canary_repository: acme}\ngithub:", `1:28: reading image: canary_repository "acme": want OWNER/REPOSITORY, such as acme/web`},
		{"key of a pattern", "github:", "rules: [{name: r, pattern: {sauce: [a]}}]\ngithub:", `1:29: reading rule "r": pattern key "sauce": no event has this key: did you mean source?`},
		{"all keys of a pattern", "github:", "rules: [{name: r, pattern: {version: ['0'], id: [a], source: [a], detail-type: [a], account: [a], time: [a], region: [a], resources: [a], detail: {a: [b]}, replay-name: [{exists: false}]}}]\ngithub:", ""},
		{"days", "labels: [linux]", "labels: [linux], total_limit: 1d, idle_limit: 0.5d12h", ""},
		{"no days", "labels: [linux]", "labels: [linux], total_limit: 0d", `total_limit "0d": want a number of more than 0 and a unit`},
		{"days alone", "labels: [linux]", "labels: [linux], total_limit: d", `total_limit "d": want a number`},
		{"tab", "\n  - {name", "\n\t- {name", `4:1: a tab in the indentation: YAML allows only spaces`},
		{"byte order mark", "github:", "\ufeffgithub:", ""},
		{"metrics", "github:", "metrics: {listen: 9464}\ngithub:", `1:19: reading metrics: listen "9464": want ADDRESS:PORT, such as 127.0.0.1:8080`},
		{"listen", "github:", "listen: 8080\ngithub:", `1:9: listen "8080": want ADDRESS:PORT, such as 127.0.0.1:8080`},
		{"name", "small", "Small Pool", `4:12: pool name "Small Pool": want a-z, 0-9 and dashes between them, 32 at most`},
		{"same name", "linux]}", "linux]}\n  - {name: small, labels: [x]}", `5:12: duplicate pool name "small"`},
		{"label", "linux", `"a,b"`, `4:28: reading pool "small": label "a,b": want a word without commas and spaces`},
		{"repository", "labels: [linux]", "labels: [linux], repositories: [acme]", `4:51: reading pool "small": repositories "acme": want OWNER/REPOSITORY, such as acme/web or acme/*`},
		{"broken repository", "labels: [linux]", "labels: [linux], repositories: ['acme/[']", `4:51: reading pool "small": repositories "acme/[": want OWNER/REPOSITORY`},
		{"no command", "labels: [linux]", "labels: [linux], command: []", `4:45: reading pool "small": command is empty: want a program and its arguments`},
		{"pattern", "github:", "rules: [{name: r, pattern: {source: [{prefixx: a}]}}]\ngithub:", `1:29: reading rule "r": pattern source: unknown operator "prefixx"`},
		{"no pattern", "github:", "rules: [{name: r, pattern: text}]\ngithub:", `1:28: reading rule "r": pattern`},
		{"no url", "github:", rule("target: http"), `1:10: reading rule "r": url "": want an address, such as https://example.com/hook`},
		{"odd url", "github:", rule("target: http, url: 'ftp://h/'"), `1:62: reading rule "r": url "ftp://h/": want an address`},
		{"url with a password", "github:", rule("target: http, url: 'https://u:p@h/'"), `1:62: reading rule "r": url "https://u:xxxxx@h/": want`},
		{"rule without a command", "github:", rule("target: command"), `1:10: reading rule "r": command is empty: want a program and its arguments`},
		{"url beside log", "github:", rule("url: 'https://h/'"), `1:48: reading rule "r": url is not for target log, only for http`},
		{"command beside http", "github:", rule("target: http, url: 'https://h/', command: [a]"), `1:85: reading rule "r": command is not for target http, only for command`},
		{"timeout beside log", "github:", rule("timeout: 1s"), `1:52: reading rule "r": timeout is not for target log, only for http and command`},
		{"target", "github:", rule("target: htpt"), `1:51: reading rule "r": target "htpt": did you mean http?`},
		{"input", "github:", rule("target: command, command: [a], input: {template: '<a>'}"), `reading rule "r": input: template: variable "a"`},
		{"paths", "github:", rule("target: command, command: [a], input: {paths: {a: b}, template: '1'}"), `reading rule "r": input: variable "a": path "b"`},
		{"paths alone", "github:", rule("target: command, command: [a], input: {paths: {a: $.b}}"), `reading rule "r": input: template of 0 bytes`},
		{"literal rule secret", "github:", rule("target: http, url: 'https://h/', secret: hunter2"), `reading rule "r": secret: want env:NAME or file:PATH`},
		{"mayfly's own rule", "github:", strings.Replace(rule("target: log"), "name: r", "name: jobs", 1), `1:16: reading rule "jobs": name "jobs": mayfly has a rule with that name: choose another one`},
		{"table", "github:", "sandbox: {programs: {/opt/r: [a]}}\ngithub:", `1:30: reading sandbox: programs "/opt/r": want a text`},
		{"anchor", "[linux]", "&a [linux]", `4:27: Anchor: anchors, aliases, tags and merges are not supported: write the value itself`},
		{"same key", "token: env:T", "token: env:T, token: env:U", `1:24: mapping key "token" already defined at [1:10]`},
		{"no YAML", "github:", "github: {", `could not find flow map content`},
		{"second document", "webhook:", "---\nwebhook:", `a second YAML document: want only one`},
		{"empty sections", "github:", "engine:\nrules:\nhost:\ngithub:", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Parse("m.yaml", []byte(strings.Replace(good, c.old, c.new, 1)))
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var faults config.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("%v, want %s", err, c.want)
			}
			wanted := strings.Split(c.want, "\n")
			if len(faults) != len(wanted) {
				t.Fatalf("faults:\n%v\nwant:\n%s", err, c.want)
			}
			for i, w := range wanted {
				if !strings.Contains(faults[i].Error(), w) {
					t.Errorf("fault %d: %s\nwant %s", i, faults[i].Error(), w)
				}
			}
			for _, secret := range []string{"ghp_0123456789", "hunter2"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the fault tells the secret: %v", err)
				}
			}
		})
	}
}

// TestFaultsOfAllKinds: all faults of a file come at once, in its order.
func TestFaultsOfAllKinds(t *testing.T) {
	_, err := config.Parse("m.yaml", []byte(`
listen: 8080
github: {token: x}
webhook:
  secrets: [env:A]
  max_body: big
pools:
  - name: A
    label: [b]
`))
	want := `m.yaml:2:9: listen "8080": want ADDRESS:PORT, such as 127.0.0.1:8080
m.yaml:3:17: reading github: token: want env:NAME or file:PATH: secrets are not written in this file
m.yaml:6:13: reading webhook: max_body "big": want a number and a unit, such as 4GiB
m.yaml:8:5: reading pool "A": labels is missing: want the pool's labels
m.yaml:8:11: pool name "A": want a-z, 0-9 and dashes between them, 32 at most
m.yaml:9:5: reading pool "A": key "label" is not known: did you mean labels?`
	if err == nil {
		t.Fatal("no faults")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

// FuzzParse: whatever the file, there is a configuration or there are faults with
// a place in it, and one that is good gives pools.
func FuzzParse(f *testing.F) {
	for _, src := range []string{good, whole, config.Starter(config.ForgeGitHub), "", "- x", "a: &b [*b]", "github:\n\t- x", "pools: [{", "? a\n: b", "a: |\n  x\n", "%YAML 1.2\n---\n"} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := config.Parse("m.yaml", src)
		var faults config.Faults
		switch {
		case err == nil:
			if len(c.PoolSet()) == 0 {
				t.Error("good without pools")
			}
			c.Lint(pool.Resources{CPUs: 1, Memory: 1})
		case !errors.As(err, &faults) || len(faults) == 0:
			t.Errorf("%v: want faults", err)
		default:
			for _, fault := range faults {
				if fault.Message == "" || len(src) < 1<<20 && (fault.Line < 1 || fault.Column < 1) {
					t.Errorf("%+v", fault)
				}
			}
		}
	})
}
