package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// sample is the repository that the demo pushes.
//
//go:embed all:sample
var sample embed.FS

// expected is how the sample's jobs are meant to end; those not named succeed.
var expected = map[string]string{"broken": "failure"}

const sampleRepository = "acme/web"

// demoCmd is `mayfly demo`.
type demoCmd struct {
	Launcher string        `help:"Where runners run: ${enum}." enum:"auto,engine,sandbox" default:"auto"`
	Image    string        `help:"Image of the runners, such as one of mayfly image list, in place of one from this machine's programs. For the launcher engine." placeholder:"IMAGE"`
	Folder   string        `help:"Folder to push as the repository, in place of the built-in sample." type:"existingdir" placeholder:"DIR"`
	Docker   bool          `help:"Give each runner a container engine for itself. With --image, of an image that has Podman."`
	Mirror   string        `name:"docker-mirror" help:"Mirror of Docker Hub for these engines." placeholder:"URL"`
	JSON     bool          `help:"Print one summary object."`
	Keep     bool          `help:"Stay up after the sample: further pushes start further jobs."`
	Listen   string        `help:"Address and port for deliveries." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
	Secret   string        `name:"webhook-secret" help:"Secret of deliveries, for posting some of your own; made up by default." env:"MAYFLY_WEBHOOK_SECRET" placeholder:"SECRET"`
	State    string        `help:"Folder for everything; a temporary one by default." type:"path" placeholder:"DIR"`
	Within   time.Duration `help:"Give up after this time." default:"5m"`

	Forge       string `help:"Where jobs come from: a simulated GitHub, or a real Gitea of this machine, whose runners are sandboxes." enum:"github,gitea" default:"github"`
	Gitea       string `help:"Gitea's program." default:"gitea" placeholder:"PROGRAM"`
	GiteaRunner string `help:"The program of Gitea's runner." default:"gitea-runner" placeholder:"PROGRAM"`
}

// A demoSummary is what the demo comes to.
type demoSummary struct {
	Jobs              int                 `json:"jobs"`
	AsExpected        int                 `json:"as_expected"`
	RunnersStarted    int                 `json:"runners_started"`
	LeftContainers    int                 `json:"left_containers"`
	LeftRegistrations int                 `json:"left_registrations"`
	QueuedToStarted   rehearsal.Quantiles `json:"queued_to_started_ms"`
}

// errDemo says that the demo did not end as meant.
var errDemo = errors.New("demo: not all ended as meant")

// Run runs the sample from push to empty inventory.
func (c *demoCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen, log *slog.Logger) (err error) {
	if c.Image != "" && c.Launcher != machine.Engine {
		return cli.Usage(fmt.Errorf("--image with --launcher %s: only a container engine has images", c.Launcher), "add --launcher engine")
	}
	if c.Docker && c.Image == "" {
		return cli.Usage(errors.New("--docker without --image: this machine's programs have no engine for a runner"), "add --image, of an image that mayfly image build made with image.docker: true")
	}
	if all.LogLevel == "info" { // the demo tells what happens itself
		log = slog.New(slog.NewTextHandler(screen.Err, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	if c.State == "" {
		if c.State, err = os.MkdirTemp("", "mayfly-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.State)) }()
	}
	if play := demos[c.Forge]; play != nil {
		return play(c, ctx, screen)
	}
	progress := screen.Progress(time.Now)
	s, err := rehearsal.Open(ctx, rehearsal.Config{
		Launcher: c.Launcher, Sockets: engineSockets(), Image: c.Image, State: c.State, Listen: c.Listen, Secret: secret.New(c.Secret),
		Repository: sampleRepository, Pools: c.pools(), Log: log, Progress: progress.Set,
	})
	progress.End()
	if err != nil {
		return err
	}
	open := true
	shutdown := func() error {
		if !open {
			return nil
		}
		open = false
		return s.Close()
	}
	defer func() { err = errors.Join(err, shutdown()) }()
	screen.Notef("simulated GitHub at %s, deliveries to %s, launcher %s", s.SimURL, s.HookURL(), s.LauncherName())
	summary, err := c.play(ctx, screen, s)
	if err != nil {
		return err
	}
	if c.Keep {
		c.stay(ctx, screen, s)
	}
	if err := shutdown(); err != nil {
		return err
	}
	if c.JSON {
		err = screen.JSON(summary)
	}
	if summary.AsExpected != summary.Jobs || summary.LeftContainers+summary.LeftRegistrations > 0 {
		return cli.Hint(errDemo, "run it with --log-level debug")
	}
	return err
}

// pools are two kinds of runner that fit a small machine together.
func (c *demoCmd) pools() pool.Set {
	resources, isolation := pool.Resources{CPUs: 0.5, Memory: 512 << 20}, pool.Isolation{}
	if c.Docker {
		resources.Memory = 1 << 30
		isolation = pool.Isolation{Privileges: pool.Sudo, Docker: pool.Docker{Engine: true, Disk: 4 << 30, Mirror: c.Mirror}}
	}
	return pool.Set{
		{Name: "small", Labels: []string{"self-hosted", "linux", "small"}, Resources: resources, Max: 4, PIDs: 512, Isolation: isolation},
		{Name: "large", Labels: []string{"self-hosted", "linux", "large"}, Resources: resources, Max: 2, PIDs: 512, Isolation: isolation},
	}
}

// play pushes the sample, follows its jobs to their end and tells of them.
func (c *demoCmd) play(ctx context.Context, screen *cli.Screen, s *rehearsal.Rehearsal) (demoSummary, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Within, fmt.Errorf("the demo took longer than %v", c.Within))
	defer cancel()
	if err := s.Sim.AddCheckout(); err != nil {
		return demoSummary{}, err
	}
	changes := s.Sim.Subscribe()
	defer changes.Close()
	files, err := filesOf(c.source())
	if err != nil {
		return demoSummary{}, err
	}
	runs, err := s.Sim.Push(githubsim.Push{Repository: sampleRepository, Message: "try mayfly", Files: files})
	if err != nil {
		return demoSummary{}, err
	}
	screen.Notef("pushed %s: %d workflows\n", sampleRepository, len(runs))
	if err := follow(ctx, screen, changes, len(runs)); err != nil {
		return demoSummary{}, err
	}
	if err := s.Settle(ctx); err != nil {
		return demoSummary{}, err
	}
	return c.conclude(ctx, screen, s)
}

// source is the repository that is pushed.
func (c *demoCmd) source() fs.FS {
	if c.Folder != "" {
		return os.DirFS(c.Folder)
	}
	embedded, err := fs.Sub(sample, "sample")
	if err != nil {
		panic(err) // sample is a valid path
	}
	return embedded
}

// filesOf returns the files of a repository, by path, without its history.
func filesOf(source fs.FS) (map[string]string, error) {
	files := map[string]string{}
	err := fs.WalkDir(source, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		text, err := fs.ReadFile(source, path)
		files[path] = string(text)
		return err
	})
	return files, err
}

// follow tells what happens to jobs until so many runs have completed.
func follow(ctx context.Context, screen *cli.Screen, changes *githubsim.Subscription, runs int) error {
	tell := teller{screen: screen, begin: time.Now(), status: map[int64]string{}}
	pages := pages{screen: screen, told: map[int64]bool{}}
	for runs > 0 {
		change, ok := changes.Next(ctx)
		switch {
		case !ok:
			return context.Cause(ctx)
		case change.Run != nil && change.Run.Status == githubsim.StatusCompleted:
			runs--
			pages.run(*change.Run)
		case change.Job != nil:
			tell.change(change.Time, *change.Job)
			pages.job(*change.Job)
		}
	}
	return nil
}

// A teller prints a line whenever a job comes to another status.
type teller struct {
	screen *cli.Screen
	begin  time.Time
	status map[int64]string // last told, by job
}

func (t *teller) change(at time.Time, j githubsim.Job) {
	if t.status[j.ID] == j.Status {
		return // one of its steps
	}
	t.status[j.ID] = j.Status
	what, colour := j.Status, cli.Grey
	switch j.Status {
	case githubsim.StatusQueued:
		what = "queued for " + event.ShowLabels(j.Labels)
	case githubsim.StatusInProgress:
		what, colour = "running on "+j.Runner, cli.Yellow
	case githubsim.StatusCompleted:
		what, colour = j.Conclusion, resultColour(j)
	}
	t.screen.Notef("%8s  %-10s  %s", cli.Duration(at.Sub(t.begin)), cli.Printable(j.Name), t.screen.Paint(colour, what))
}

func resultColour(j githubsim.Job) cli.Colour {
	if asMeant(j) {
		return cli.Green
	}
	return cli.Red
}

func asMeant(j githubsim.Job) bool { return j.Conclusion == cmp.Or(expected[j.Name], "success") }

// conclude prints the table and the inventory, and adds them up.
func (c *demoCmd) conclude(ctx context.Context, screen *cli.Screen, s *rehearsal.Rehearsal) (d demoSummary, err error) {
	list, err := s.Ledger().Jobs(ctx, ledger.JobQuery{Limit: 1000})
	if err != nil {
		return d, err
	}
	kept := map[int64]ledger.Job{}
	for _, j := range list {
		kept[j.Key.ID] = j
	}
	runners, err := s.Ledger().Runners(ctx, ledger.RunnerQuery{Limit: 1000})
	if err != nil {
		return d, err
	}
	left, err := s.Inventory(ctx)
	if err != nil {
		return d, err
	}
	jobs := s.Sim.Jobs()
	var waits []float64
	var rows [][]cli.Cell
	for _, j := range jobs {
		k := kept[j.ID]
		wait := j.StartedAt.Sub(j.Created)
		waits = append(waits, float64(wait.Microseconds())/1e3)
		if asMeant(j) && k.Conclusion == j.Conclusion {
			d.AsExpected++
		}
		row := cli.Text(j.Name, k.Pool, j.Runner, cli.Duration(wait), cli.Duration(j.Completed.Sub(j.StartedAt)), j.Conclusion, rehearsal.LastLine(s.Sim, j.ID))
		row[5].Colour = resultColour(j)
		rows = append(rows, row)
	}
	d.Jobs, d.RunnersStarted = len(jobs), len(runners)
	d.LeftContainers, d.LeftRegistrations = left.Containers, left.Registrations
	d.QueuedToStarted = rehearsal.QuantilesOf(waits)
	if !c.JSON {
		fmt.Fprintln(screen.Out)
		screen.Table([]string{"JOB", "POOL", "RUNNER", "QUEUED→STARTED", "TOOK", "RESULT", "LAST LINE"}, rows)
		fmt.Fprintf(screen.Out, "\n%d of %d jobs as expected, %d runners started\nleft: %d containers, %d registrations, %d claim sockets\n",
			d.AsExpected, d.Jobs, d.RunnersStarted, left.Containers, left.Registrations, left.Claims)
	}
	return d, nil
}

// stay tells how to go on, and of what happens, until ctx ends.
func (c *demoCmd) stay(ctx context.Context, screen *cli.Screen, s *rehearsal.Rehearsal) {
	screen.Notef(`
still up. Push to start further jobs:
  git clone %s && cd web
  git commit --allow-empty -m again && git push
Deliveries of your own go to %s.
See what happens with:
  mayfly jobs --state %s
  mayfly events --state %s
  mayfly page --state %s
Stop with Ctrl-C.`, s.CloneURL(), s.HookURL(), s.State(), s.State(), s.State())
	changes := s.Sim.Subscribe()
	defer changes.Close()
	tell := teller{screen: screen, begin: time.Now(), status: map[int64]string{}}
	pages := pages{screen: screen, told: map[int64]bool{}}
	for {
		change, ok := changes.Next(ctx)
		if !ok {
			return
		}
		if change.Job != nil {
			tell.change(change.Time, *change.Job)
			pages.job(*change.Job)
		}
	}
}
