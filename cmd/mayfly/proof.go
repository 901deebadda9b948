package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// testCmd is `mayfly test`.
type testCmd struct {
	reading
	Repository string        `arg:"" help:"Where to try it: owner/name. A branch is made there and removed in the end."`
	Pools      []string      `help:"Pools to try; by default all that serve the repository." placeholder:"POOL"`
	Branch     string        `help:"Name of the branch; made up by default." placeholder:"NAME"`
	Token      string        `help:"Token to push and read with; by default the configuration's credential, which needs to write contents and workflows then." env:"MAYFLY_TEST_TOKEN" placeholder:"TOKEN"`
	Timeout    time.Duration `help:"Give up after this time." default:"10m"`
	Patience   time.Duration `help:"Give up when nothing has happened for this long." default:"2m"`
}

// A proof is one test under way. What it finds out is for one goroutine.
type proof struct {
	*testCmd
	setup  setup
	forge  *github.Client // as mayfly calls GitHub; nil when its credential is not to be had here
	person *github.Client // as who tests does
	from   *source
	hook   hookSite
	pools  []pool.Pool
	begun  time.Time

	commit string     // on the branch
	ours   bool       // the branch: it is made, or may be
	run    github.Run // zero before GitHub has made it
	traces []*trace   // of the jobs there are to be, in that order
	step   string     // where it stands, for the progress
	moved  time.Time  // when something last happened
}

// Run proves it, or says which link broke first.
func (c *testCmd) Run(ctx context.Context, all *commands, screen *cli.Screen, log *slog.Logger) error {
	p, err := c.open(ctx, all, log)
	if err != nil {
		return err
	}
	defer p.from.close()
	within, cancel := context.WithTimeoutCause(ctx, c.Timeout, errTestTime)
	defer cancel()
	screen.Notef("pushing a test workflow to branch %s of %s, for %s", c.Branch, c.Repository, strings.Join(poolsOf(p.pools), ", "))
	broken, err := p.prove(within, screen)
	cleaning, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	left := p.clean(cleaning)
	switch {
	case left != nil:
		return cli.Hint(errors.Join(err, left), "see to branch %s of %s and its run yourself", c.Branch, c.Repository)
	case ctx.Err() != nil:
		return cli.Hint(errors.New("test: stopped before its end"), "its run was cancelled and branch %s removed", c.Branch)
	case err != nil:
		return err
	}
	return p.conclude(screen, broken)
}

var errTestTime = errors.New("the test took too long")

// branchName is what --branch may be: something that needs no quotes anywhere.
var branchName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// open reads what there is to read before anything is done.
func (c *testCmd) open(ctx context.Context, all *commands, log *slog.Logger) (*proof, error) {
	c.Branch = cmp.Or(c.Branch, "mayfly-test-"+strings.ToLower(rand.Text()[:8]))
	if !branchName.MatchString(c.Branch) || strings.Contains(c.Branch, "..") {
		return nil, cli.Usage(fmt.Errorf("branch %q", c.Branch), "want letters, digits, dots, dashes and underscores, such as mayfly-test-1")
	}
	p := &proof{testCmd: c}
	var err error
	if p.setup, err = readSetup(all.Config); err != nil {
		return nil, err
	}
	if p.pools, err = c.choose(p.setup.limits.Pools); err != nil {
		return nil, err
	}
	if err := p.connect(); err != nil {
		return nil, err
	}
	if p.from, err = c.source(ctx, all, log); err != nil {
		return nil, err
	}
	if p.hook = p.from.hook; p.hook.url == "" {
		p.hook = hookSite{p.setup.Webhook.URL, "mayfly webhook install"}
	}
	return p, nil
}

// choose returns the pools to try.
func (c *testCmd) choose(all pool.Set) (chosen []pool.Pool, err error) {
	if !strings.Contains(c.Repository, "/") {
		return nil, cli.Usage(fmt.Errorf("repository %q", c.Repository), "want owner/name, such as acme/web")
	}
	for _, name := range c.Pools {
		if _, ok := all.Find(name); !ok {
			return nil, cli.Usage(fmt.Errorf("pool %q is not configured", name), "there are %s", strings.Join(poolsOf(all), ", "))
		}
	}
	for _, p := range all {
		if (len(c.Pools) == 0 && p.Allows(c.Repository)) || slices.Contains(c.Pools, p.Name) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return nil, cli.Usage(fmt.Errorf("no pool serves %s", c.Repository), "repositories: of a pool says which ones it serves")
	}
	return chosen, nil
}

// connect makes the clients: one as mayfly, one as who tests. With a token of a person's
// own, the first may be out of reach: on AWS its key is in the account.
func (p *proof) connect() (err error) {
	if resolveErr := p.setup.resolve(); resolveErr == nil {
		if p.forge, err = github.New(p.setup.forge()); err != nil {
			return err
		}
	} else if p.Token == "" {
		return cli.Hint(resolveErr, "or give a token of your own: MAYFLY_TEST_TOKEN")
	}
	p.person = p.forge
	if p.Token != "" {
		p.person, err = github.New(github.Config{URL: p.setup.GitHub.URL, Token: secret.New(p.Token)})
	}
	if p.forge == nil {
		p.forge = p.person
	}
	return err
}

func poolsOf(pools []pool.Pool) (names []string) {
	for _, p := range pools {
		names = append(names, p.Name)
	}
	return names
}

// prove pushes, follows every job to its end, and looks whether all is as it should be.
// It returns the first link that broke, nil when none did.
func (p *proof) prove(ctx context.Context, screen *cli.Screen) (*brokenLink, error) {
	if err := p.push(ctx); err != nil {
		return nil, err
	}
	progress := screen.Progress(time.Now)
	defer progress.End()
	for {
		before := p.step
		if err := p.look(ctx); err != nil && ctx.Err() == nil {
			return nil, err
		}
		if p.step = p.standing(); p.step != before {
			p.moved = time.Now()
		}
		progress.Set("%s: %s", p.Repository, p.step)
		if broken := p.hopeless(); broken != nil {
			return broken, nil
		}
		if p.over() {
			return p.check(ctx)
		}
		if ctx.Err() != nil || time.Since(p.moved) > p.Patience {
			return p.stuck(context.WithoutCancel(ctx)), nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(p.pause()):
		}
	}
}

// push makes the branch. One that was there before is nobody's to remove.
func (p *proof) push(ctx context.Context) (err error) {
	p.begun, p.moved = time.Now(), time.Now()
	switch has, err := p.person.HasBranch(ctx, p.Repository, p.Branch); {
	case err != nil:
		return err
	case has:
		return cli.Usage(fmt.Errorf("branch %s of %s is there already", p.Branch, p.Repository), "choose another with --branch, or remove it")
	}
	p.commit, err = p.person.CreateBranch(ctx, p.Repository, p.Branch, "mayfly test", map[string]string{workflowPath: p.workflow()})
	if errors.Is(err, github.ErrConflict) {
		err = cli.Hint(err, "push a first commit to %s: GitHub makes no branch in an empty repository", p.Repository)
	}
	// With a commit the branch may be there, whatever the error is, unless somebody has just
	// made one of this name.
	p.ours = p.commit != "" && !errors.Is(err, github.ErrUnprocessable)
	return err
}

// pause is how long to wait between looks. GitHub and the stack count calls; a simulator on
// this machine, which alone may be spoken to without TLS, does not mind.
func (p *proof) pause() time.Duration {
	if strings.HasPrefix(p.setup.GitHub.URL, "http://") {
		return p.from.pause
	}
	return max(p.from.pause, time.Second)
}

// clean cancels what still runs and removes the branch, if it is the test's.
func (p *proof) clean(ctx context.Context) error {
	if !p.ours {
		return nil
	}
	err := p.lookAtRun(ctx) // which may have come to be since
	if p.run.ID != 0 && !p.run.Completed {
		err = errors.Join(err, p.person.CancelRun(ctx, p.Repository, p.run.ID))
	}
	err = errors.Join(err, p.person.RemoveBranch(ctx, p.Repository, p.Branch))
	if err != nil {
		return err
	}
	has, err := p.person.HasBranch(ctx, p.Repository, p.Branch)
	if has {
		err = fmt.Errorf("branch %s of %s is still there", p.Branch, p.Repository)
	}
	return err
}
