package config_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// whole is a file that says everything.
const whole = `
github:
  url: https://ghe.example.com
  app: {id: 12345, private_key: file:app.pem}
  ca_file: ca.pem
  runners_at: enterprises/acme
webhook:
  at: acme/web
  url: https://mayfly.example.com/webhook
  secrets: [env:NEW, file:/etc/mayfly/old]
  events: [workflow_job]
  max_body: 1MB
listen: "[::1]:8080"
archive: {keep: 100h, max_size: 2GiB}
metrics: {listen: "127.0.0.1:9464"}
proxy: {url: "http://proxy:3128", except: [.example.com]}
state: state
launcher: engine
platform: machine
aws: {region: eu-west-1, stack: ci, source: s3, vpc: vpc-01234567, subnets: [subnet-01234567], public_addresses: false, functions_in_vpc: true, vpc_endpoints: true, retention_days: 30, alarm_email: a@example.com, hosts: {amd64_types: [c7i.large], arm64_types: [c7g.large], min: 1, max: 2, spot: true, on_demand_base: 1, disk: 100GiB}}
engine: {socket: /run/podman/podman.sock}
sandbox: {runner: /opt/actions-runner, programs: {/opt/tools: /opt/tools}}
image: {source: image, base: registry.example.com/debian@sha256:00, packages: [libpq-dev, gcc=4.2+b1], docker: true, watch: false, keep: 2, feed: "http://127.0.0.1:1", downloads: "http://127.0.0.1:2", canary_repository: acme/canary}
host: {cpus: 7.5, memory: 32GiB}
docker_mirror: https://mirror.example.com
rules:
  - name: failed
    pattern: {source: [github.com], detail: {action: [completed], size: [{numeric: [">", 0, "<=", 5]}]}}
    target: log
pools:
  - name: small
    labels: [self-hosted, linux, x64]
  - name: big
    labels: [self-hosted, linux, x64, big]
    repositories: [acme/*]
    max: 10
    cpus: 4
    memory: 1.5 GiB
    pids: 100
    image: registry.example.com/runner@sha256:00
    command: [/runner, --once]
    network: none
    privileges: sudo
    runtime: runsc
    docker: engine
    docker_disk: 5GiB
    read_only_root: true
    shm: 300MiB
    ulimits: {nofile: 1024 65536, core: 0, memlock: unlimited}
    env: {LANG: de_DE.UTF-8, HTTP_PROXY: http://other:1}
    mounts: [{source: ./tools/, target: /opt/tools/}, {source: maven, target: /home/runner/.m2, writable: true}]
    dns: [10.0.0.2]
    hooks: {started: started.sh}
    runner_group: Big machines
    idle_limit: 90s
    total_limit: 1h30m
`

// proxyEnv is what the proxy of whole makes of a pool's environment.
func proxyEnv(more map[string]string) map[string]string {
	env := map[string]string{}
	for _, name := range []string{"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"} {
		env[name] = "http://proxy:3128"
	}
	env["no_proxy"] = "localhost,127.0.0.1,.example.com"
	env["NO_PROXY"] = env["no_proxy"]
	maps.Copy(env, more)
	return env
}

func parse(t *testing.T, src string) *config.Config {
	t.Helper()
	c, err := config.Parse("/etc/mayfly/mayfly.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParse(t *testing.T) {
	c := parse(t, whole)
	want := config.Config{
		Forge: "github", Gitea: config.Gitea{RunnersAt: "repository"},
		GitHub:   config.GitHub{URL: "https://ghe.example.com", App: config.App{ID: 12345, PrivateKey: "file:app.pem"}, CAFile: "ca.pem", RunnersAt: "enterprises/acme"},
		Webhook:  config.Webhook{At: "acme/web", URL: "https://mayfly.example.com/webhook", Secrets: []config.SecretRef{"env:NEW", "file:/etc/mayfly/old"}, Events: []string{"workflow_job"}, MaxBody: 1e6},
		Listen:   "[::1]:8080",
		State:    "state",
		Launcher: "engine",
		Platform: "machine",
		Engine:   config.Engine{Socket: "/run/podman/podman.sock"},
		Sandbox:  config.Sandbox{Runner: "/opt/actions-runner", Programs: map[string]string{"/opt/tools": "/opt/tools"}},
		Image: config.Image{
			Source: "image", Base: "registry.example.com/debian@sha256:00", Docker: true, Packages: []string{"libpq-dev", "gcc=4.2+b1"},
			Keep: 2, Feed: "http://127.0.0.1:1", Downloads: "http://127.0.0.1:2", Canary: "acme/canary",
		},
		Mirror:  "https://mirror.example.com",
		Host:    config.Capacity{CPUs: 7.5, Memory: 32 << 30},
		Archive: config.Archive{Keep: 100 * time.Hour, MaxSize: 2 << 30},
		Metrics: config.Metrics{Listen: "127.0.0.1:9464"},
		Page:    config.Page{Listen: "127.0.0.1:8081"},
		Proxy:   config.Proxy{URL: "http://proxy:3128", Except: []string{".example.com"}},
		AWS: config.AWS{
			Region: "eu-west-1", Stack: "ci", Source: "s3", VPC: "vpc-01234567", Subnets: []string{"subnet-01234567"}, FunctionsInVPC: true, Endpoints: true,
			RetentionDays: 30, Email: "a@example.com",
			Hosts:      config.Hosts{AMD64Types: []string{"c7i.large"}, ARM64Types: []string{"c7g.large"}, Min: 1, Max: 2, Spot: true, OnDemandBase: 1, Disk: 100 << 30, Renew: 14},
			QuietHours: 72, Archive: true, Schemas: true, Organization: config.Organization{RolePath: "/", CIDR: "10.77.0.0/16", Zones: 2},
		},
	}
	got := *c
	if diff := cmp.Diff(`{"detail":{"action":["completed"],"size":[{"numeric":["\u003e",0,"\u003c=",5]}]},"source":["github.com"]}`, got.Rules[0].Pattern.String()); diff != "" {
		t.Error(diff)
	}
	got.Rules, got.Pools = nil, nil
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool {
		return strings.HasSuffix(p.String(), "path") || strings.HasSuffix(p.String(), "positions")
	}, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	wantPools := pool.Set{
		{
			Name: "small", Labels: []string{"self-hosted", "linux", "x64"},
			Resources: pool.Resources{CPUs: 2, Memory: 4 << 30}, PIDs: 4096, Command: []string{"/home/runner/run.sh"},
			Network: pool.NetworkOwn, RunnerGroup: "1", IdleLimit: 5 * time.Minute, TotalLimit: 390 * time.Minute,
			Isolation: pool.Isolation{Privileges: pool.Strict},
			Setup:     pool.Setup{SharedMemory: 2 << 30, Env: proxyEnv(nil)},
		},
		{
			Name: "big", Labels: []string{"self-hosted", "linux", "x64", "big"}, Repositories: []string{"acme/*"}, Max: 10,
			Resources: pool.Resources{CPUs: 4, Memory: 3 << 29}, PIDs: 100, Image: "registry.example.com/runner@sha256:00",
			Command: []string{"/runner", "--once"}, Network: pool.NetworkNone, ReadOnlyRoot: true,
			RunnerGroup: "Big machines", IdleLimit: 90 * time.Second, TotalLimit: 90 * time.Minute,
			Isolation: pool.Isolation{Privileges: pool.Sudo, Runtime: "runsc", Docker: pool.Docker{Engine: true, Disk: 5 << 30, Mirror: "https://mirror.example.com"}},
			Setup: pool.Setup{
				SharedMemory: 300 << 20, DNS: []string{"10.0.0.2"},
				Env: proxyEnv(map[string]string{"LANG": "de_DE.UTF-8", "HTTP_PROXY": "http://other:1", "ACTIONS_RUNNER_HOOK_JOB_STARTED": "/opt/mayfly/hooks/started.sh"}),
				Mounts: []pool.Mount{
					{Source: "/etc/mayfly/tools", Target: "/opt/tools"}, {Source: "maven", Target: "/home/runner/.m2", Writable: true},
					{Source: "/etc/mayfly/started.sh", Target: "/opt/mayfly/hooks/started.sh"},
				},
				Ulimits: map[string]pool.Ulimit{"nofile": {Soft: 1024, Hard: 65536}, "core": {}, "memlock": {Soft: pool.Unlimited, Hard: pool.Unlimited}},
			},
		},
	}
	if diff := cmp.Diff(wantPools, c.PoolSet()); diff != "" {
		t.Error(diff)
	}
	if got := c.Abs(c.State); got != "/etc/mayfly/state" {
		t.Errorf("state %q", got)
	}
}

// TestDefaultsAreOfPool: what a pool has that says nothing is the same in a file
// and in code.
func TestDefaultsAreOfPool(t *testing.T) {
	got := parse(t, good).PoolSet()[0]
	want := pool.Pool{Name: got.Name, Labels: got.Labels, Image: got.Image}.WithDefaults()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCapacity(t *testing.T) {
	machine := pool.Resources{CPUs: 8, Memory: 16 << 30}
	for _, c := range []struct {
		said config.Capacity
		want pool.Resources
	}{
		{config.Capacity{}, machine},
		{config.Capacity{CPUs: 2}, pool.Resources{CPUs: 2, Memory: 16 << 30}},
		{config.Capacity{Memory: 1 << 30}, pool.Resources{CPUs: 8, Memory: 1 << 30}},
	} {
		if got := c.said.Resources(machine); got != c.want {
			t.Errorf("%+v of %+v: %+v, want %+v", c.said, machine, got, c.want)
		}
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mayfly.yaml")
	if _, err := config.Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Read(path); err != nil {
		t.Error(err)
	}
}

func TestStarterIsGood(t *testing.T) {
	c := parse(t, config.Starter(config.ForgeGitHub))
	if warnings := c.Lint(pool.Resources{CPUs: 2, Memory: 4 << 30}); len(warnings) > 0 {
		t.Error(warnings)
	}
}

// TestStarterWithAllInIt: what the starter has behind "#" is good as well, once
// the token makes room for the App.
func TestStarterWithAllInIt(t *testing.T) {
	src := regexp.MustCompile(`(?m)^( *)# ( *(- )?[a-z_/-]+:( |$))`).ReplaceAllString(config.Starter(config.ForgeGitHub), "$1$2")
	src = strings.ReplaceAll(strings.Replace(src, "token: env:GITHUB_TOKEN", "", 1), "#     /opt", "    /opt")
	c := parse(t, src)
	if c.GitHub.App.ID != 12345 || len(c.Rules) != 2 || c.Host.CPUs != 8 || c.Pools[0].Max != 10 || len(c.Sandbox.Programs) != 1 {
		t.Errorf("%+v of\n%s", c, src)
	}
	for _, key := range regexp.MustCompile("(?m)^\\| \\**`([a-z_]+)`").FindAllStringSubmatch(config.Reference(), -1) {
		if !strings.Contains(config.Starter(config.ForgeGitHub), key[1]+":") {
			t.Errorf("the starter does not mention %s", key[1])
		}
	}
}

var update = flag.Bool("update", false, "write docs/config.md")

func TestReferencePageIsFresh(t *testing.T) {
	const page = "../../docs/config.md"
	if *update {
		if err := os.WriteFile(page, []byte(config.Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Reference(), string(got)); diff != "" {
		t.Errorf("docs/config.md is stale; go test ./internal/config -update renews it:\n%s", diff)
	}
}

// TestReadPart: sections that a command has no use for may be missing, not wrong.
func TestReadPart(t *testing.T) {
	path := filepath.Join(t.TempDir(), config.FileName)
	for text, want := range map[string]string{
		"github: {token: env:T}":                            "",
		"github: {token: env:T}\nwebhook: {}\n":             "secrets is missing",
		"github: {app: {id: 1}}":                            "private_key is missing",
		"github: {token: env:T}\npools: [{name: a}]":        "labels is missing",
		"github: {token: env:T}\nlisten: nonsense":          "want ADDRESS:PORT",
		"listen: 127.0.0.1:1":                               "github is missing",
		"github: {token: env:T}\nwebhook: {secrets: [a]}\n": "want env:NAME or file:PATH",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.ReadPart(path, "github")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if want != "" {
			continue
		}
		if _, err := config.Read(path); err == nil || !strings.Contains(err.Error(), "webhook is missing") {
			t.Errorf("%q as a whole: %v", text, err)
		}
		secrets, err := c.ResolveForge(func(string) (string, bool) { return "x", true })
		if err != nil || secrets.Token.Reveal() != "x" {
			t.Errorf("%q: its token is %q, %v", text, secrets.Token.Reveal(), err)
		}
	}
	if err := os.WriteFile(path, []byte("image: {watch: false}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := config.ReadPart(path); err != nil || c.Image.Watch {
		t.Errorf("a file without github: %v, %+v", err, c)
	}
}
