package forgetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/gitea/giteaserver"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
	"github.com/mayfly-ci/mayfly/internal/programtest"
)

const (
	organization = "acme"
	patience     = 5 * time.Minute // for anything here: the machine may be busy
	runnerInside = "/opt/gitea-runner"
)

// built is what make test-forge builds, and mayfly.
type built struct{ gitea, static, runner, bin string }

// folder is where mayfly is built to.
var folder string

func TestMain(m *testing.M) {
	os.Exit(programtest.Main(m, func(dir string) error { folder = dir; return nil }))
}

// buildMayfly builds it once.
var buildMayfly = sync.OnceValue(func() error { return programtest.Build(folder, "mayfly", "mayfly-agent") })

// find returns what was built, or skips the test, and says so.
func find(t *testing.T) built {
	t.Helper()
	at, err := filepath.Abs("../../bin/forge")
	must(t, err)
	b := built{filepath.Join(at, "gitea"), filepath.Join(at, "static"), filepath.Join(at, "gitea-runner"), folder}
	for _, file := range []string{b.gitea, b.static, b.runner} {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			if os.Getenv("MAYFLY_FORGE") != "" {
				t.Fatalf("%v: make forge builds it", err)
			}
			t.Skipf("NOT TESTED against a real Gitea: %v: make test-forge builds it, and takes minutes", err)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	must(t, buildMayfly())
	return b
}

// A world is a real Gitea and a mayfly for it.
type world struct {
	built
	*giteaserver.Server
	folder string // of mayfly's configuration
	listen string
	up     *exec.Cmd
	log    *os.File
	marks  *marks
}

// open starts both. The kind of launcher is engine or sandbox.
func open(t *testing.T, b built, kind string) *world {
	t.Helper()
	w := &world{built: b, folder: t.TempDir(), marks: listen(t)}
	var err error
	if w.Server, err = giteaserver.Start(t.Context(), giteaserver.Config{Program: b.gitea, Static: b.static, Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, w.CreateOrganization(t.Context(), organization))
	w.configure(t, launcherOf(t, b, kind))
	w.mayfly(t, "webhook", "install")
	w.start(t)
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(w.folder, "log")) // what cannot be read says nothing
			t.Logf("mayfly runners:\n%s\nmayfly's log:\n%s", w.mayfly(t, "runners"), text)
		}
		w.stop(t, syscall.SIGTERM)
		w.mayfly(t, "down", "--yes", "--within", "1s")
		w.nothingLeft(t)
	})
	return w
}

// A launcher is what the configuration says of what runs runners: keys of its own, and those of the pool.
type launcher struct{ keys, pool string }

// launcherOf sets up what runs runners. An engine gets an image of this machine's programs and the runner.
func launcherOf(t *testing.T, b built, kind string) launcher {
	t.Helper()
	if kind == "sandbox" {
		return launcher{keys: fmt.Sprintf("launcher: sandbox\nsandbox: {programs: {%q: %s}}", b.runner, runnerInside)}
	}
	socket, image := dockertest.Serve(t), hosttools.NewName("forge")
	dockertest.Load(t, socket, image, hosttools.Config{
		Tools: hosttools.Tools(), Trees: hosttools.Trees(), Files: map[string]string{runnerInside: b.runner},
	})
	return launcher{fmt.Sprintf("launcher: engine\nengine: {socket: %q}", socket), fmt.Sprintf(", image: %q", image)}
}

func (w *world) configure(t *testing.T, runs launcher) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w.listen = l.Addr().String()
	must(t, l.Close())
	text := fmt.Sprintf(`forge: gitea
gitea: {url: %q, token: env:GITEA_TOKEN, runners_at: organization}
webhook: {at: %s, url: "http://%s/webhook", secrets: [env:MAYFLY_WEBHOOK_SECRET], events: [workflow_job, workflow_run]}
listen: %s
state: state
%s
host: {cpus: 64, memory: 64GiB}
image: {watch: false}
pools:
- {name: small, labels: [self-hosted, linux, Small], cpus: 0.5, memory: 512MiB, network: host, command: [%s], idle_limit: 1m%s}
`, w.URL, organization, w.listen, w.listen, runs.keys, runnerInside, runs.pool)
	must(t, os.WriteFile(filepath.Join(w.folder, "mayfly.yaml"), []byte(text), 0o600))
}

// command is a mayfly command.
func (w *world) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "mayfly"), append([]string{"--config", filepath.Join(w.folder, "mayfly.yaml")}, args...)...)
	cmd.Env = append(os.Environ(), "GITEA_TOKEN="+w.Token, "MAYFLY_WEBHOOK_SECRET=a secret of more than sixteen letters")
	return cmd
}

// mayfly runs a command and returns what it printed.
func (w *world) mayfly(t *testing.T, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := w.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("mayfly %s: %v\n%s%s", strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.Bytes()
}

// start starts mayfly up, and waits until it takes deliveries.
func (w *world) start(t *testing.T) {
	t.Helper()
	var err error
	w.log, err = os.OpenFile(filepath.Join(w.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	w.up = w.command(context.Background(), "up")
	w.up.Stdout, w.up.Stderr = w.log, w.log
	must(t, w.up.Start())
	w.eventually(t, "mayfly up listens", func() bool {
		c, err := net.Dial("tcp", w.listen)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// stop ends mayfly up with a signal.
func (w *world) stop(t *testing.T, s syscall.Signal) {
	t.Helper()
	must(t, w.up.Process.Signal(s))
	_ = w.up.Wait() // what a signal makes of it
	must(t, w.log.Close())
}

// eventually waits until something is so.
func (w *world) eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v it is not so that %s\nmayfly status:\n%s\nmayfly jobs:\n%s", patience, what, w.mayfly(t, "status"), w.mayfly(t, "jobs"))
		}
	}
}

// A view is what mayfly jobs and mayfly runners tell of one.
type view struct {
	Job        string
	Runner     string
	State      string
	Conclusion string
	Reason     string
	Why        string
	Runners    int
	Output     string
}

// list returns what mayfly jobs, or runners, lists with arguments.
func (w *world) list(t *testing.T, args ...string) (all []view) {
	t.Helper()
	out := w.mayfly(t, append(args, "--json", "--limit", "1000")...)
	decoder := json.NewDecoder(bytes.NewReader(out))
	for decoder.More() {
		var one json.RawMessage
		must(t, decoder.Decode(&one))
		var some []view
		if json.Unmarshal(one, &some) == nil {
			all = append(all, some...)
			continue
		}
		var v view
		must(t, json.Unmarshal(one, &v))
		all = append(all, v)
	}
	return all
}

// nothingLeft: no runner is registered, nothing of one runs, and the webhook is gone.
func (w *world) nothingLeft(t *testing.T) {
	t.Helper()
	n, err := w.RunnerCount(context.Background(), "orgs/"+organization)
	if err != nil || n != 0 {
		t.Errorf("%d runners are registered, %v: want none", n, err)
	}
	for _, folder := range []string{"claims", "runners"} {
		entries, err := os.ReadDir(filepath.Join(w.folder, "state", folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) || len(entries) > 0 {
			t.Errorf("state/%s has %v, %v: want nothing", folder, entries, err)
		}
	}
}

// repository makes one, with a workflow, and returns its name and the commit.
func (w *world) push(t *testing.T, name, workflow string) (repository, sha string) {
	t.Helper()
	repository = organization + "/" + name
	must(t, w.CreateRepository(t.Context(), repository))
	return repository, w.pushTo(t, repository, workflow)
}

func (w *world) pushTo(t *testing.T, repository, workflow string) (sha string) {
	t.Helper()
	sha, err := w.Push(t.Context(), repository, "a change", map[string]string{".gitea/workflows/ci.yml": workflow})
	must(t, err)
	return sha
}

// run returns the run of a commit.
func (w *world) run(t *testing.T, repository, sha string) (r giteaserver.Run) {
	t.Helper()
	w.eventually(t, "there is a run of "+repository, func() bool {
		runs, err := w.Runs(t.Context(), repository, sha)
		must(t, err)
		if len(runs) == 1 {
			r = runs[0]
		}
		return len(runs) == 1
	})
	return r
}

// done waits until a run is over and returns it with its jobs, by name. Gitea calls a run completed
// while some of its jobs wait for others: each job has to be.
func (w *world) done(t *testing.T, repository, sha string) (r giteaserver.Run, jobs map[string]giteaserver.Job) {
	t.Helper()
	var list []giteaserver.Job
	w.eventually(t, "the run of "+repository+" is over", func() bool {
		r = w.run(t, repository, sha)
		var err error
		list, err = w.Jobs(t.Context(), repository, r.ID)
		must(t, err)
		open := func(j giteaserver.Job) bool { return j.Status != "completed" }
		return r.Status == "completed" && !slices.ContainsFunc(list, open)
	})
	jobs = map[string]giteaserver.Job{}
	for _, j := range list {
		jobs[j.Name] = j
	}
	return r, jobs
}

// quiet waits until no job is open and no runner lives, by mayfly's word and by Gitea's.
func (w *world) quiet(t *testing.T) {
	t.Helper()
	w.eventually(t, "no job is open and no runner lives", func() bool {
		n, err := w.RunnerCount(t.Context(), "orgs/"+organization)
		must(t, err)
		return n == 0 && len(w.list(t, "jobs", "--open")) == 0 && len(w.list(t, "runners")) == 0
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
