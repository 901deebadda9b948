// Package giteademo runs a sample repository in a Gitea of its own, with mayfly as a person
// runs it: mayfly webhook install, mayfly up, a push, mayfly down.
package giteademo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mayfly-ci/mayfly/internal/gitea/giteaserver"
)

// A Config says what to play with.
type Config struct {
	Mayfly string // this program
	Gitea  string // Gitea's binary
	Runner string // that of its runner
	Dir    string // for everything
	Say    func(format string, args ...any)
}

// A Result is how the sample's jobs ended.
type Result struct {
	Jobs       []giteaserver.Job
	AsExpected int
	Left       int // registrations of runners
}

const (
	organization = "acme"
	repository   = organization + "/web"
	pollEvery    = 200 * time.Millisecond
)

// sample is the workflow: jobs after each other, a matrix, and one that is meant to fail.
const sample = `on: push
jobs:
  build:
    runs-on: [self-hosted, linux, small]
    steps: [{run: echo "built on $HOSTNAME"}]
  test:
    needs: build
    runs-on: [self-hosted, linux, small]
    strategy: {matrix: {part: [1, 2, 3]}}
    steps: [{run: 'echo part ${{ matrix.part }}'}]
  broken:
    runs-on: [self-hosted, linux, small]
    steps: [{run: exit 1}]
`

// expected is how a job of the sample is meant to end.
func expected(job string) string {
	if job == "broken" {
		return "failure"
	}
	return "success"
}

type demo struct {
	Config
	server *giteaserver.Server
	listen string
	secret string
}

// Play runs the sample from push to empty inventory.
func Play(ctx context.Context, c Config) (r Result, err error) {
	d := &demo{Config: c, secret: rand.Text()}
	if d.Runner, err = exec.LookPath(c.Runner); err != nil {
		return r, fmt.Errorf("finding Gitea's runner: %w", err)
	}
	if d.Runner, err = filepath.Abs(d.Runner); err != nil {
		return r, err
	}
	c.Say("starting Gitea")
	if d.server, err = giteaserver.Start(ctx, giteaserver.Config{Program: c.Gitea, Dir: c.Dir}); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, d.server.Close()) }()
	if err := errors.Join(d.server.CreateOrganization(ctx, organization), d.server.CreateRepository(ctx, repository), d.configure()); err != nil {
		return r, err
	}
	if err := d.mayfly(ctx, "webhook", "install"); err != nil {
		return r, err
	}
	stop, err := d.up(ctx)
	if err != nil {
		return r, err
	}
	r, err = d.push(ctx)
	if err := errors.Join(err, stop()); err != nil {
		return r, err
	}
	if err := d.mayfly(ctx, "down", "--yes", "--within", "10s"); err != nil {
		return r, err
	}
	r.Left, err = d.server.RunnerCount(ctx, "orgs/"+organization)
	return r, err
}

// configure writes mayfly.yaml.
func (d *demo) configure() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.listen = l.Addr().String()
	text := fmt.Sprintf(`forge: gitea
gitea: {url: %q, token: env:GITEA_TOKEN, runners_at: organization}
webhook: {at: %s, url: "http://%s/webhook", secrets: [env:MAYFLY_WEBHOOK_SECRET], events: [workflow_job, workflow_run]}
listen: %s
state: state
launcher: sandbox
sandbox: {programs: {%q: /opt/gitea-runner}}
image: {watch: false}
pools:
- {name: small, labels: [self-hosted, linux, small], cpus: 0.5, memory: 512MiB, network: host, command: [/opt/gitea-runner]}
`, d.server.URL, organization, d.listen, d.listen, d.Runner)
	return errors.Join(l.Close(), os.WriteFile(d.file(), []byte(text), 0o600))
}

func (d *demo) file() string { return filepath.Join(d.Dir, "mayfly.yaml") }

func (d *demo) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.Mayfly, append([]string{"--config", d.file()}, args...)...)
	cmd.Env = append(os.Environ(), "GITEA_TOKEN="+d.server.Token, "MAYFLY_WEBHOOK_SECRET="+d.secret)
	return cmd
}

// mayfly runs a command that ends.
func (d *demo) mayfly(ctx context.Context, args ...string) error {
	d.Say("mayfly %s", strings.Join(args, " "))
	if out, err := d.command(ctx, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mayfly %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// up starts mayfly up, and returns what ends it.
func (d *demo) up(ctx context.Context) (stop func() error, err error) {
	d.Say("mayfly up")
	log, err := os.Create(filepath.Join(d.Dir, "mayfly.log"))
	if err != nil {
		return nil, err
	}
	up := d.command(ctx, "up")
	up.Stdout, up.Stderr = log, log
	up.Cancel = func() error { return up.Process.Signal(syscall.SIGTERM) }
	if err := up.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- up.Wait() }()
	stop = func() error { return errors.Join(up.Process.Signal(syscall.SIGTERM), <-ended, log.Close()) }
	for {
		if c, err := net.Dial("tcp", d.listen); err == nil {
			return stop, c.Close()
		}
		select {
		case err := <-ended:
			text, _ := os.ReadFile(log.Name()) // what cannot be read says nothing
			return nil, fmt.Errorf("mayfly up: %w: %s", errors.Join(err, log.Close()), bytes.TrimSpace(text))
		case <-time.After(pollEvery):
		}
	}
}

// push pushes the sample and waits for the end of its jobs.
func (d *demo) push(ctx context.Context) (r Result, err error) {
	d.Say("pushing to %s/%s", d.server.URL, repository)
	sha, err := d.server.Push(ctx, repository, "a sample", map[string]string{".gitea/workflows/ci.yml": sample})
	for told := map[int64]bool{}; err == nil; {
		var runs []giteaserver.Run
		if runs, err = d.server.Runs(ctx, repository, sha); err == nil && len(runs) == 1 {
			r.Jobs, err = d.server.Jobs(ctx, repository, runs[0].ID)
		}
		for _, j := range r.Jobs {
			if j.Status == "completed" && !told[j.ID] {
				told[j.ID] = true
				d.Say("%-12s %s", j.Name, j.Conclusion)
			}
		}
		if len(r.Jobs) > 0 && !slices.ContainsFunc(r.Jobs, func(j giteaserver.Job) bool { return j.Status != "completed" }) {
			break
		}
		select {
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-time.After(pollEvery):
		}
	}
	for _, j := range r.Jobs {
		if j.Conclusion == expected(j.Name) {
			r.AsExpected++
		}
	}
	return r, err
}
