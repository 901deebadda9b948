// Package config reads mayfly.yaml into a [Config].
//
// The structs of this file, and those of aws.go, are the only description of the format. The
// reader (decode.go), the JSON Schema for editors ([JSONSchema]) and the reference page
// ([Reference]) all use their tags, so that these cannot differ:
//
//	yaml      the key
//	doc       its purpose, in a sentence or two
//	default   the default value, in the syntax of the file
//	enum      the allowed values, separated by "|"
//	min       the smallest number
//	required  marks keys that must be set
//
// Faults have file, line and column, and all faults of a file are found at once. Secrets
// are never in the file: it refers to them, and [Config.Resolve] reads them.
package config

import (
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/event/transform"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// FileName is the default name of the file.
const FileName = "mayfly.yaml"

// A Config is the content of mayfly.yaml, with defaults filled in. It must not be changed
// after it was read, so that it can be shared between goroutines.
type Config struct {
	Forge    string   `yaml:"forge" default:"github" enum:"github|gitea" doc:"Where jobs come from. The section of that name is required."`
	GitHub   GitHub   `yaml:"github" doc:"The GitHub that jobs come from, and the credential for its API: an App or a token."`
	Gitea    Gitea    `yaml:"gitea" doc:"The Gitea that jobs come from, with forge: gitea; see docs/gitea.md."`
	Webhook  Webhook  `yaml:"webhook" required:"yes" doc:"The webhook that reports jobs."`
	Platform string   `yaml:"platform" default:"machine" enum:"machine|aws" doc:"Where mayfly runs: on this machine, or as a stack on AWS (mayfly deploy). A stack ignores listen, state, launcher, engine, sandbox and host."`
	AWS      AWS      `yaml:"aws" doc:"The stack on AWS."`
	Listen   string   `yaml:"listen" default:"127.0.0.1:8080" doc:"Address and port for deliveries. Put a TLS proxy in front of it."`
	State    string   `yaml:"state" default:"/var/lib/mayfly" doc:"Folder for the database and for files of runners. A relative path starts at the folder of this file."`
	Launcher string   `yaml:"launcher" default:"auto" enum:"auto|engine|sandbox" doc:"What runs runners: the API of Docker or Podman (engine), bubblewrap (sandbox), or an engine if one is installed and else the sandbox (auto)."`
	Engine   Engine   `yaml:"engine" doc:"The container engine."`
	Sandbox  Sandbox  `yaml:"sandbox" doc:"The sandbox. It has no images: runners see this machine's /usr and the programs listed here."`
	Image    Image    `yaml:"image" doc:"The runner image that mayfly builds; see docs/image.md."`
	Mirror   string   `yaml:"docker_mirror" doc:"A mirror of Docker Hub, such as https://mirror.example.com, for the engines that runners get with docker: engine."`
	Host     Capacity `yaml:"host" doc:"The capacity that all runners share. By default the whole machine."`
	Archive  Archive  `yaml:"archive" doc:"How many events to keep, for replays and lists. On AWS, aws.retention_days sets this."`
	Proxy    Proxy    `yaml:"proxy" doc:"The HTTP proxy for runners, their jobs and the build of the image. Mayfly itself uses the one in its own environment, HTTPS_PROXY."`
	CAFile   string   `yaml:"ca_file" doc:"A PEM file with CA certificates that mayfly, runners and their jobs trust besides the system's, such as those of a proxy that inspects TLS. Those of github.ca_file or gitea.ca_file are trusted too."`
	Metrics  Metrics  `yaml:"metrics" doc:"Metrics for Prometheus."`
	Page     Page     `yaml:"page" doc:"The page that shows what runs, what waits and why; see docs/page.md. mayfly page serves it for a stack."`
	Rules    []Rule   `yaml:"rules" doc:"Your own rules on the event bus, in addition to mayfly's."`
	Pools    []Pool   `yaml:"pools" required:"yes" doc:"The kinds of runner. A job gets its runner from the first pool that has all its labels and allows its repository."`

	path      string              // of the file, for faults and relative paths
	positions map[string]position // of values in the file, by path such as pools[0].memory
}

// GitHub is the GitHub that jobs come from, and how to authenticate to it.
type GitHub struct {
	URL       string    `yaml:"url" default:"https://github.com" doc:"github.com, an Enterprise Server (https://ghe.example.com), an enterprise with data residency (https://acme.ghe.com), or a simulator (http://127.0.0.1:8090)."`
	App       App       `yaml:"app" doc:"The GitHub App to call the API as. Either this or token."`
	Token     SecretRef `yaml:"token" doc:"A personal access token to call the API with. Either this or app."`
	CAFile    string    `yaml:"ca_file" doc:"A PEM file with extra CA certificates to trust, for an Enterprise Server. Runners and their jobs trust them, too."`
	RunnersAt string    `yaml:"runners_at" default:"repository" doc:"The level at which runners are registered: repository, organization, or enterprises/SLUG."`
}

// App is a GitHub App.
type App struct {
	ID         int64     `yaml:"id" min:"1" required:"yes" doc:"The App's id, from its settings page."`
	PrivateKey SecretRef `yaml:"private_key" required:"yes" doc:"The App's private key, in PEM form."`
}

// Webhook describes the webhook and which of its deliveries are accepted.
type Webhook struct {
	At      string      `yaml:"at" doc:"The owner of the webhook: app, an organization (acme), a repository (acme/web), or enterprises/SLUG. mayfly webhook install creates it there, and the sweep looks there for failed deliveries."`
	URL     string      `yaml:"url" doc:"The URL at which GitHub reaches mayfly, ending in /webhook. On AWS the stack provides it."`
	Secrets []SecretRef `yaml:"secrets" required:"yes" doc:"The secret that signs deliveries. During a rotation, list both: the new one first."`
	Events  []string    `yaml:"events" default:"workflow_job, ping" doc:"The event types to put on the bus, such as workflow_run for rules. Others are not subscribed to; they are answered with 200 and dropped."`
	MaxBody Bytes       `yaml:"max_body" default:"25MiB" doc:"The largest delivery to accept. GitHub sends none larger than the default."`
}

// Engine is a container engine.
type Engine struct {
	Socket string `yaml:"socket" doc:"The API socket, such as /run/podman/podman.sock. If set, an engine must answer there. By default DOCKER_HOST, or the first of the usual paths that answers."`
}

// Sandbox lists what sandboxes contain besides the machine's /usr.
type Sandbox struct {
	Runner   string            `yaml:"runner" doc:"The folder of this machine where GitHub's runner is unpacked, such as /opt/actions-runner. Each runner gets it as its own at /home/runner, where it can write and update itself."`
	Programs map[string]string `yaml:"programs" doc:"More files or folders of this machine to mount: path here, path inside. They are read-only unless they are below /home/runner."`
}

// Image describes the runner image that mayfly builds.
type Image struct {
	Source   string   `yaml:"source" doc:"The folder with the Dockerfile, as written by mayfly image eject. By default the source built into mayfly."`
	Base     string   `yaml:"base" doc:"The image to build on, preferably with its digest. By default the one in the Dockerfile."`
	Packages []string `yaml:"packages" doc:"More packages of the base's distribution to install, such as [libpq-dev, postgresql-client]."`
	Docker   bool     `yaml:"docker" default:"false" doc:"Add Docker's command line, buildx, compose and Podman, which pools with docker: engine need."`

	Watch     bool   `yaml:"watch" default:"true" doc:"Build an image of each new release of the forge's runner, test it with a canary job, and start runners from it if that passes. Applies to pools without an image."`
	Keep      int    `yaml:"keep" min:"1" default:"3" doc:"How many good images to keep for mayfly image rollback, including the current one."`
	Feed      string `yaml:"feed" doc:"Where to look up releases of the runner, in place of https://api.github.com or, for Gitea's, https://gitea.com/api/v1: a mirror of that."`
	Downloads string `yaml:"downloads" doc:"Where to download the runner from, in place of https://github.com/actions/runner/releases/download or, for Gitea's, https://dl.gitea.com/gitea-runner. Files are in folders as there: v2.336.0, or 3.3.2."`
	Canary    string `yaml:"canary_repository" doc:"One of your repositories, with the workflow mayfly-canary.yml from docs/image.md: a new image must run it, too, before it is used."`
}

// Capacity is a number of processors and an amount of memory; zero means all that the machine has.
type Capacity struct {
	CPUs   float64 `yaml:"cpus" min:"0.1" doc:"Processors."`
	Memory Bytes   `yaml:"memory" doc:"Memory."`
}

// Archive says how long events are kept.
type Archive struct {
	Keep    time.Duration `yaml:"keep" default:"96h" doc:"How long to keep an event and remember its id. At least 72h, because GitHub redelivers for that long."`
	MaxSize Bytes         `yaml:"max_size" doc:"How much space the details of events may take. Beyond it, the oldest events lose their details and cannot be replayed; lists still show them, and their ids are remembered. By default there is no limit."`
}

// Metrics is the endpoint for Prometheus.
type Metrics struct {
	Listen string `yaml:"listen" doc:"Address and port of /metrics, such as 127.0.0.1:9464. By default there are no metrics. Anyone who reaches it sees the names of pools and rules."`
}

// Rule is a rule on the event bus.
type Rule struct {
	Name    string           `yaml:"name" required:"yes" doc:"A unique name."`
	Pattern *pattern.Pattern `yaml:"pattern" required:"yes" doc:"The events to match: an EventBridge event pattern."`
	Target  string           `yaml:"target" default:"log" enum:"log|http|command" doc:"Where matching events go: log writes a line for each, http POSTs each to url, command runs a program for each."`
	URL     string           `yaml:"url" doc:"For http: the address. 2xx acknowledges the event; 408, 429, 5xx and no answer are retried, no sooner than Retry-After says (at most an hour); any other answer makes a dead letter."`
	Secret  SecretRef        `yaml:"secret" doc:"For http: the key that signs the body, in the header X-Hub-Signature-256, as GitHub does."`
	Command []string         `yaml:"command" doc:"For command: a program and its arguments, run without a shell in the folder of this file. It reads the event from standard input, as a line of JSON; its environment is PATH, MAYFLY_EVENT and MAYFLY_RULE. Exit code 0 means done, 65 makes a dead letter, any other is retried."`
	Timeout time.Duration    `yaml:"timeout" default:"30s" doc:"For http and command: how long one attempt may take."`
	Workers int              `yaml:"workers" min:"1" default:"1" doc:"How many events to deliver at once. With 1 they arrive in order, except for retries."`
	MaxAge  time.Duration    `yaml:"max_age" default:"24h" doc:"An event older than this is not retried and becomes a dead letter."`
	Input   Input            `yaml:"input" doc:"What http and command receive, as an EventBridge input transformer. By default the whole event."`
}

// Input is an input transformer.
type Input struct {
	Paths    map[string]string `yaml:"paths" doc:"Variables and their paths in the event, such as job: $.detail.workflow_job.name."`
	Template string            `yaml:"template" doc:"JSON with variables, such as '{\"text\": \"<job> failed\"}'."`
}

// Transformer compiles the input. It returns nil if the rule has none.
func (in Input) Transformer() (*transform.Transformer, error) {
	if in.Template == "" && len(in.Paths) == 0 {
		return nil, nil
	}
	return transform.Parse(in.Paths, in.Template)
}

// Pool is a kind of runner.
type Pool struct {
	Name         string        `yaml:"name" required:"yes" doc:"A unique name: a-z, 0-9 and dashes, at most 32 characters."`
	Labels       []string      `yaml:"labels" required:"yes" doc:"The pool's labels. A job fits if all labels of its runs-on are here, ignoring case."`
	Repositories []string      `yaml:"repositories" doc:"Which repositories may use the pool, such as acme/web or acme/*. By default all that the webhook reports."`
	Max          int           `yaml:"max" min:"0" default:"0" doc:"The most runners at once. 0 means as many as fit the machine."`
	CPUs         float64       `yaml:"cpus" min:"0.1" default:"2" doc:"Processors for each runner."`
	Memory       Bytes         `yaml:"memory" default:"4GiB" doc:"Memory for each runner. A job that exceeds it is killed."`
	PIDs         int           `yaml:"pids" min:"16" default:"4096" doc:"The most processes and threads for each runner."`
	Image        string        `yaml:"image" doc:"The container image. By default the one that mayfly builds and keeps up to date; see image. The sandbox has no images."`
	Command      []string      `yaml:"command" default:"/home/runner/run.sh" doc:"The runner's program and its arguments, inside the container."`
	Network      string        `yaml:"network" default:"own" enum:"own|host|none" doc:"What a runner can reach: everything but this machine's loopback (own), everything that this machine can (host), or nothing (none)."`
	Privileges   string        `yaml:"privileges" default:"strict" enum:"strict|sudo|host-root" doc:"What a job can become in its container: only an ordinary user (strict), root by sudo in a user namespace, so that it is not root on the host (sudo), or root by sudo without a user namespace, where an escape is root on the host (host-root)."`
	Runtime      string        `yaml:"runtime" doc:"The OCI runtime for the pool's runners, such as runsc (gVisor) or kata. The container engine must know it. By default the engine's own default."`
	Docker       string        `yaml:"docker" default:"none" enum:"none|engine" doc:"Whether each runner gets a container engine for itself (engine): docker build, docker run, services, job containers and Docker actions work, and no job sees the host's engine."`
	DockerDisk   Bytes         `yaml:"docker_disk" default:"20GiB" doc:"With docker: engine, how much its images, containers and volumes may take on the disk."`
	ReadOnlyRoot bool          `yaml:"read_only_root" default:"false" doc:"Make the image read-only, except home, /tmp, /run and /var/tmp. Not for images with the runner's program in its home, such as GitHub's."`
	Warm         Warm          `yaml:"warm" doc:"Runners that listen before there is a job, so that a job starts at once. They count like busy ones, and make room for jobs that wait."`
	SharedMemory Bytes         `yaml:"shm" doc:"The size of /dev/shm, which browsers and databases use. It counts as memory. By default half of memory, at most 2GiB."`
	Ulimits      Ulimits       `yaml:"ulimits" doc:"Limits for each process, such as {nofile: 65536, core: 0, stack: 8388608 unlimited}: one value, or a soft and a hard one. By default nofile is 65536, or the most that the engine can give."`
	Env          Env           `yaml:"env" doc:"Environment variables of the runner and its jobs. Not for secrets: every job can read them."`
	Mounts       []Mount       `yaml:"mounts" doc:"Files, folders or volumes that all jobs of the pool see."`
	DNS          []string      `yaml:"dns" doc:"Addresses of name servers. By default those of the engine. Not in the sandbox."`
	Hooks        Hooks         `yaml:"hooks" doc:"Scripts of this machine that GitHub's runner runs around each job. Not on AWS, where they belong into the image."`
	RunnerGroup  string        `yaml:"runner_group" default:"1" doc:"The GitHub runner group, by name or id. 1 is the default group, and the only one if runners_at is repository."`
	IdleLimit    time.Duration `yaml:"idle_limit" default:"5m" doc:"A runner that gets no job for this long exits."`
	TotalLimit   time.Duration `yaml:"total_limit" default:"6h30m" doc:"A job that runs for longer is stopped with its runner. GitHub cancels a job after its timeout-minutes, 360 by default: keep this above."`
	AWS          PoolOnAWS     `yaml:"aws" doc:"Settings that apply on AWS only."`
}

// Env are environment variables.
type Env map[string]string

// Mount is a part of this machine, or a volume, that containers of a pool see.
type Mount struct {
	Source   string `yaml:"source" required:"yes" doc:"A file or folder of this machine, as a path with a slash in it, or the name of a volume of the engine."`
	Target   string `yaml:"target" required:"yes" doc:"The absolute path inside. In the sandbox not below /usr."`
	Writable bool   `yaml:"writable" default:"false" doc:"Let jobs write to it. What one job leaves there, all later ones of the pool get."`
}

// Hooks are scripts around a job.
// https://docs.github.com/en/actions/how-tos/manage-runners/self-hosted-runners/run-scripts
type Hooks struct {
	Started   string `yaml:"started" doc:"The script to run before the steps of a job, ending in .sh. If it fails, so does the job."`
	Completed string `yaml:"completed" doc:"The script to run after the steps of a job, ending in .sh."`
}

// Proxy is an HTTP proxy.
type Proxy struct {
	URL    string   `yaml:"url" doc:"Its address, such as http://proxy.example.com:3128. Without credentials, which every job could read."`
	Except []string `yaml:"except" doc:"Hosts and domains to reach without it, such as .example.com."`
}

// Read reads the file at path. Mistakes in its contents are returned as [Faults].
func Read(path string) (*Config, error) { return readFile(path, sections()) }

// ReadPart is Read for commands that need only some sections, such as github. Other sections
// may be missing, but those in the file must still be correct.
func ReadPart(path string, sections ...string) (*Config, error) { return readFile(path, sections) }

func readFile(path string, need []string) (*Config, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return parsePart(path, src, need)
}

// sections returns the top-level keys.
func sections() []string { return keysOf(fieldsOf(reflect.TypeFor[Config]())) }

// Parse reads src, the contents of the file at path. The error is [Faults].
func Parse(path string, src []byte) (*Config, error) { return parsePart(path, src, sections()) }

func parsePart(path string, src []byte, need []string) (*Config, error) {
	c := &Config{path: path}
	d := decode(path, src, c, need)
	c.positions = d.positions
	c.check(d)
	if len(d.faults) > 0 {
		return nil, d.faults.sorted()
	}
	return c, nil
}

// PoolSet returns the pools in the order of the file.
func (c *Config) PoolSet() pool.Set {
	set := make(pool.Set, len(c.Pools))
	for i, p := range c.Pools {
		set[i] = pool.Pool{
			Name: p.Name, Labels: p.Labels, Repositories: p.Repositories, Max: p.Max,
			Resources: pool.Resources{CPUs: p.CPUs, Memory: int64(p.Memory)}, PIDs: p.PIDs,
			Image: p.Image, Command: p.Command, Network: pool.Network(p.Network), ReadOnlyRoot: p.ReadOnlyRoot,
			Isolation:      p.isolation(c.Mirror),
			OfOrganization: c.RunnersAt() == "organization", RunnerGroup: pool.Group(p.RunnerGroup), IdleLimit: p.IdleLimit, TotalLimit: p.TotalLimit,
			Warm:  c.warm(p),
			Setup: c.setup(p),
		}
	}
	return set
}

// Resources returns the capacity; a figure that is not set is the machine's.
func (h Capacity) Resources(machine pool.Resources) pool.Resources {
	if h.CPUs != 0 {
		machine.CPUs = h.CPUs
	}
	if h.Memory != 0 {
		machine.Memory = int64(h.Memory)
	}
	return machine
}
