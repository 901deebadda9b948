package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/sandbox"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// A world is a simulated GitHub in the test's process and, in processes of its own, a
// real mayfly up that serves it: with a state folder that outlives each of them.
type world struct {
	worldConfig
	sim    *githubsim.Sim
	simURL string
	dir    string // of the configuration and the state
	listen string // for deliveries; the same for every process
	up     *upProcess

	changes *githubsim.Subscription // all there have been
	over    map[int64]bool          // jobs completed, as far as changes were looked at
}

// worldConfig is what is special about a world. What is left out is made up.
type worldConfig struct {
	pool                 string // lines of the one pool's configuration, besides what every world's has
	launcher             string // lines that choose it; the sandbox with the mini runner by default. SIM stands for the simulator's address
	command              string // of the runner; the mini runner by default
	app                  *githubsim.App
	key                  string // of the app, PEM
	token                string // of whoever mayfly is at GitHub, unless that is the app
	secret               string // of the webhook
	purge                func(ctx context.Context, w *world, instance string) error
	list                 func(ctx context.Context, instance string) ([]fleet.Container, error) // what an engine has; nil without one
	engineDown, engineUp func(t *testing.T)                                                    // stop and start that engine; nil without one
	lock                 time.Duration                                                         // after which the simulator gives up a job whose runner is silent; GitHub's own by default
}

// worldRepository is where a world's jobs come from, and worldLabel is theirs.
const (
	worldRepository = "acme/web"
	worldLabel      = "mayfly"
)

// newWorld makes a world without a mayfly. It is removed after the test, with all that
// runners have left.
func newWorld(t *testing.T, c worldConfig) *world {
	t.Helper()
	c.token, c.secret = cmp.Or(c.token, rand.Text()), cmp.Or(c.secret, rand.Text())
	c.command = cmp.Or(c.command, rehearsal.Minirunner)
	c.launcher = cmp.Or(c.launcher, fmt.Sprintf("launcher: sandbox\nsandbox: {programs: {%q: %q}}", tooltest.Binary("mayfly-minirunner"), rehearsal.Minirunner))
	if c.purge == nil {
		c.purge = purgeSandbox
	}
	w := &world{worldConfig: c, dir: t.TempDir(), listen: freeAddress(t), over: map[int64]bool{}}
	w.serveSim(t)
	_, err := w.sim.AddWebhook(githubsim.Webhook{
		Repository: worldRepository, URL: w.hookURL(), Secret: secret.New(w.secret), Events: []string{"workflow_job"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.config(), []byte(w.yaml()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.end(t) })
	return w
}

func (w *world) serveSim(t *testing.T) {
	t.Helper()
	w.sim, w.simURL = tooltest.ServeSim(t, githubsim.Config{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Dir: filepath.Join(w.dir, "repositories"),
		Tokens: []secret.Secret{secret.New(w.token)}, App: w.app, Lock: w.lock,
	}, worldRepository)
	w.changes = w.sim.Subscribe()
	t.Cleanup(w.changes.Close)
}

// freeAddress returns an address that nobody listens on, and that nobody else comes by: tests run
// side by side, and each has an IP address of its own.
func freeAddress(t *testing.T) string {
	t.Helper()
	var ip [3]byte
	rand.Read(ip[:])
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", ip[0], ip[1], 1+ip[2]%254))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// env has the credentials of w, for processes.
func (w *world) env() []string {
	return []string{"GITHUB_TOKEN=" + w.token, "MAYFLY_WEBHOOK_SECRET=" + w.secret}
}

// mayfly runs the tool with the configuration and the credentials of w.
func (w *world) mayfly(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return tooltest.Run(t, w.env(), append([]string{"--config", w.config()}, args...)...)
}

func (w *world) config() string  { return filepath.Join(w.dir, "mayfly.yaml") }
func (w *world) state() string   { return filepath.Join(w.dir, "state") }
func (w *world) hookURL() string { return "http://" + w.listen + "/webhook" }

func (w *world) yaml() string {
	credential := "token: env:GITHUB_TOKEN"
	if w.app != nil {
		credential = fmt.Sprintf("app: {id: %d, private_key: file:app.pem}", w.app.ID)
	}
	return fmt.Sprintf(`
github:
  url: %s
  %s
webhook: {at: %s, url: %s, secrets: [env:MAYFLY_WEBHOOK_SECRET]}
listen: %s
state: state
%s
host: {cpus: 64, memory: 64GiB}
pools:
  - name: small
    labels: [%s]
    memory: 512MiB
    network: host
    command: [%s]
    %s
`, w.simURL, credential, worldRepository, w.hookURL(), w.listen, strings.ReplaceAll(w.launcher, "SIM", w.simURL), worldLabel, w.command, w.pool)
}

// An upProcess is one mayfly up.
type upProcess struct {
	cmd     *exec.Cmd
	serving chan struct{} // closed when it takes deliveries
	ended   chan struct{}

	mu  sync.Mutex
	log bytes.Buffer // mu
}

// start starts mayfly up, and does not wait until it serves.
func (w *world) start(t *testing.T) {
	t.Helper()
	p := &upProcess{cmd: exec.Command(tooltest.Binary("mayfly"), "up", "--config", w.config()), serving: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), w.env()...)
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(out)
	t.Cleanup(func() { p.kill() })
	w.up = p
}

// follow keeps what the process writes, until its end.
func (p *upProcess) follow(out interface{ Read([]byte) (int, error) }) {
	defer close(p.ended)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.mu.Lock()
		fmt.Fprintln(&p.log, lines.Text())
		p.mu.Unlock()
		if strings.Contains(lines.Text(), "msg=serving ") {
			close(p.serving)
		}
	}
	p.cmd.Wait()
}

// serve starts mayfly up and returns when it takes deliveries.
func (w *world) serve(t *testing.T) {
	t.Helper()
	w.start(t)
	w.serving(t)
}

// serving waits until the mayfly up that was started serves.
func (w *world) serving(t *testing.T) {
	t.Helper()
	select {
	case <-w.up.serving:
	case <-w.up.ended:
		t.Fatalf("mayfly up ended: %v\n%s", w.up.cmd.ProcessState, w.up.said())
	}
}

// said returns the last of what the process wrote.
func (p *upProcess) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := strings.SplitAfter(p.log.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "")
}

// whole returns all that the process wrote.
func (p *upProcess) whole() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// kill ends the process as a power cut does, and reports whether it was still there.
func (p *upProcess) kill() bool {
	p.cmd.Process.Kill() // an error means that it has ended
	<-p.ended
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

// stop ends the process as a person does.
func (p *upProcess) stop(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("mayfly up: exit code %d\n%s", code, p.said())
	}
}

// push makes a run of each file of .github/workflows.
func (w *world) push(t *testing.T, files map[string]string) {
	t.Helper()
	if _, err := w.sim.Push(githubsim.Push{Repository: worldRepository, Files: files}); err != nil {
		t.Fatal(err)
	}
}

// workflow returns a file with so many jobs, each of which runs script.
func workflow(jobs int, script string) string {
	var legs strings.Builder
	for i := range jobs {
		fmt.Fprintf(&legs, "%d, ", i+1)
	}
	return fmt.Sprintf("on: push\njobs:\n  job:\n    runs-on: %s\n    strategy: {fail-fast: false, matrix: {n: [%s]}}\n    steps:\n      - run: |\n          %s\n",
		worldLabel, strings.TrimSuffix(legs.String(), ", "), strings.ReplaceAll(script, "\n", "\n          "))
}

// completed waits until so many jobs are.
func (w *world) completed(t *testing.T, jobs int, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for len(w.over) < jobs {
		change, more := w.changes.Next(ctx)
		if !more {
			t.Fatalf("%d jobs completed within %v, want %d\n%s\n%s", len(w.over), within, jobs, w.open(t), w.up.said())
		}
		if change.Job != nil && change.Job.Status == githubsim.StatusCompleted {
			w.over[change.Job.ID] = true
		}
	}
}

// once fails t unless every job has succeeded on one runner.
func (w *world) once(t *testing.T) {
	t.Helper()
	for _, j := range w.sim.Jobs() {
		if j.Conclusion != githubsim.Success || j.Started != 1 || j.Given != 1 {
			t.Errorf("job %d: %s, given to runners %d times, begun %d times; want success, once", j.ID, j.Conclusion, j.Given, j.Started)
		}
	}
}

// open tells of the jobs that are not over, as mayfly sees them.
func (w *world) open(t *testing.T) string {
	out, errs, _ := tooltest.Mayfly(t, "jobs", "--open", "--config", w.config())
	return out + errs
}

// runners returns what the ledger knows of runners, live or all.
func (w *world) runners(t *testing.T, args ...string) []ledger.Runner {
	t.Helper()
	return tooltest.JSON[[]ledger.Runner](t, append([]string{"runners", "--json", "--limit", "10000", "--config", w.config()}, args...)...)
}

// nothingLeft fails t unless all that was made for runners is gone soon.
func (w *world) nothingLeft(t *testing.T, within time.Duration) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	left := w.left(t)
	for end := time.Now().Add(within); left != "" && time.Now().Before(end); left = w.left(t) {
		<-tick.C
	}
	if left != "" {
		t.Errorf("left %v after the last job:\n%s\n%s", within, left, w.up.said())
	}
}

// left tells of what there is of runners: in the ledger, at GitHub, in the state
// folder, among processes and control groups.
func (w *world) left(t *testing.T) string {
	t.Helper()
	var left []string
	for _, r := range w.runners(t) {
		left = append(left, fmt.Sprintf("runner %s %s", r.State, r.Name))
	}
	for _, r := range w.sim.Runners() {
		left = append(left, "registration "+r.Name)
	}
	for _, folder := range []string{"claims", "runners"} {
		entries, err := os.ReadDir(filepath.Join(w.state(), folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			left = append(left, "file "+filepath.Join(folder, e.Name()))
		}
	}
	if instance := w.instance(t); instance != "" {
		left = append(append(append(left, processesOf(instance)...), groupsOf(t, instance)...), w.containers(t, instance)...)
	}
	return strings.Join(left, "\n")
}

// instance is how the ledger calls itself, with which the names of its runners begin;
// "" as long as it had none.
func (w *world) instance(t *testing.T) string {
	t.Helper()
	for _, r := range w.runners(t, "--all") {
		instance, _, _ := strings.Cut(string(r.Name), "-small-")
		return instance
	}
	return ""
}

// processesOf returns the command lines of an instance's sandboxes.
func processesOf(instance string) (list []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		line, _ := os.ReadFile(f) // it may have ended by now
		if bytes.Contains(line, []byte(instance+"-small-")) {
			list = append(list, "process "+string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
		}
	}
	return list
}

// groupsOf returns the control groups of an instance.
func groupsOf(t *testing.T, instance string) (list []string) {
	t.Helper()
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(d.Name(), instance) {
			list = append(list, "control group "+path)
		}
		return nil // a group that has gone meanwhile is no fault
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// end removes what a test that failed may have left, when no mayfly runs any more.
func (w *world) end(t *testing.T) {
	if w.up == nil {
		return
	}
	instance := w.instance(t)
	if instance == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := w.purge(ctx, w, instance); err != nil {
		t.Error(err)
	}
}

func purgeSandbox(ctx context.Context, w *world, instance string) error {
	l, err := sandbox.New(ctx, sandbox.Config{Folder: filepath.Join(w.state(), "runners"), Instance: instance, Agent: tooltest.Binary("mayfly-agent")})
	if err != nil {
		return err
	}
	return l.Purge(ctx)
}
