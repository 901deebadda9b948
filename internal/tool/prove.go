package tool

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
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/proof"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// testCmd is `mayfly test`.
type testCmd struct {
	Reading
	Repository string        `arg:"" help:"Where to try it: owner/name. A branch is made there and removed in the end."`
	Pools      []string      `help:"Pools to try; by default all that serve the repository." placeholder:"POOL"`
	Branch     string        `help:"Name of the branch; made up by default." placeholder:"NAME"`
	Token      string        `help:"Token to push and read with; by default the configuration's credential, which needs to write contents and workflows then." env:"MAYFLY_TEST_TOKEN" placeholder:"TOKEN"`
	Timeout    time.Duration `help:"Give up after this time." default:"10m"`
	Patience   time.Duration `help:"Give up when nothing has happened for this long." default:"2m"`
}

// Run proves it, or says which link broke first.
func (c *testCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	config, from, err := c.prepare(ctx, all, log)
	if err != nil {
		return err
	}
	defer from.Close()
	within, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	screen.Notef("pushing a test workflow to branch %s of %s, for %s", c.Branch, c.Repository, strings.Join(poolsOf(config.Pools), ", "))
	progress := screen.Progress(time.Now)
	config.Progress = func(standing string) { progress.Set("%s: %s", c.Repository, standing) }
	report, err := proof.Run(within, config)
	progress.End()
	switch {
	case errors.Is(err, proof.ErrLeft):
		return cli.Hint(err, "see to branch %s of %s and its run yourself", c.Branch, c.Repository)
	case ctx.Err() != nil:
		return cli.Hint(errors.New("test: stopped before its end"), "its run was cancelled and branch %s removed", c.Branch)
	case errors.Is(err, proof.ErrBranch):
		return cli.Usage(err, "choose another with --branch, or remove it")
	case errors.Is(err, proof.ErrEmpty):
		return cli.Hint(err, "push a first commit to %s", c.Repository)
	case err != nil:
		return err
	}
	return c.conclude(screen, report)
}

// branchName is the form of --branch, at most maxBranch bytes long: it needs no quotes anywhere.
var branchName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

const maxBranch = 100

// prepare reads what there is to read before anything is done.
func (c *testCmd) prepare(ctx context.Context, all *Globals, log *slog.Logger) (config proof.Config, from *inspect.Source, err error) {
	c.Branch = cmp.Or(c.Branch, "mayfly-test-"+strings.ToLower(rand.Text()[:8]))
	if len(c.Branch) > maxBranch || !branchName.MatchString(c.Branch) || strings.Contains(c.Branch, "..") {
		return config, nil, cli.Usage(fmt.Errorf("branch %q", c.Branch), "want letters, digits, dots, dashes and underscores, such as mayfly-test-1")
	}
	s, err := ReadSetup(all.Config)
	if err != nil {
		return config, nil, err
	}
	config = proof.Config{
		Repository: c.Repository, Branch: c.Branch, Patience: c.Patience, Level: s.Limits.Level, RunnersAt: s.GitHub.RunnersAt,
	}
	if config.Pools, err = c.choose(s.Limits.Pools); err != nil {
		return config, nil, err
	}
	if config.Forge, config.Person, err = c.connect(s); err != nil {
		return config, nil, err
	}
	if from, err = c.source(ctx, all, log); err != nil {
		return config, nil, err
	}
	config.Ledger, config.Events, config.Pause = from.Ledger, from.Events, from.Pause
	if !strings.HasPrefix(s.GitHub.URL, "http://") { // GitHub counts calls; a simulator, which alone may be spoken to without TLS, does not mind
		config.Pause = max(config.Pause, time.Second)
	}
	config.Health = func(ctx context.Context) (proof.Health, error) {
		h, err := from.Health(ctx)
		return proof.Health{Running: h.Running, Words: h.Words, Quarantined: h.Quarantined}, err
	}
	config.Hook = proof.Hook{At: s.Webhook.At, URL: from.Hook.URL, Command: from.Hook.Command}
	if config.Hook.URL == "" {
		config.Hook.URL, config.Hook.Command = s.Webhook.URL, "mayfly webhook install"
	}
	return config, from, nil
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
// own, the first may be out of reach, as its key is on AWS: then both are the person's.
func (c *testCmd) connect(s Setup) (forge, person *github.Client, err error) {
	if err := s.NeedGitHub(); err != nil {
		return nil, nil, err
	}
	if err := s.ResolveSecrets(); err == nil {
		if forge, err = github.New(s.AtGitHub()); err != nil {
			return nil, nil, err
		}
	} else if c.Token == "" {
		return nil, nil, cli.Hint(err, "or give a token of your own: MAYFLY_TEST_TOKEN")
	}
	if c.Token == "" {
		return forge, forge, nil
	}
	person, err = github.New(github.Config{URL: s.GitHub.URL, CA: s.Certificates, Token: secret.New(c.Token)})
	if forge == nil {
		forge = person
	}
	return forge, person, err
}

func poolsOf(pools []pool.Pool) (names []string) {
	for _, p := range pools {
		names = append(names, p.Name)
	}
	return names
}

// conclude prints the report and gives the verdict.
func (c *testCmd) conclude(screen *cli.Screen, r proof.Report) error {
	if c.JSON {
		if err := screen.JSON(r); err != nil {
			return err
		}
	} else {
		printProof(screen, r)
	}
	if r.Broken != nil {
		return cli.Hint(fmt.Errorf("test: %w", r.Broken), "%s", r.Broken.Hint)
	}
	if !c.JSON {
		fmt.Fprintf(screen.Out, "\n%d jobs, each in a container of its own; nothing is left of them: no runner, no registration, no branch\n", len(r.Jobs))
	}
	return nil
}

// printProof prints a line for each job: when it reached each hop, counted from when it was
// queued. GitHub's times are whole seconds, by its clock.
func printProof(screen *cli.Screen, r proof.Report) {
	head := []string{"JOB", "POOL"}
	for _, hop := range proof.Hops {
		head = append(head, strings.ToUpper(hop))
	}
	var rows [][]cli.Cell
	for _, j := range r.Jobs {
		row := cli.Text(j.Name, OrDash(j.Pool))
		for _, hop := range proof.Hops {
			cell := cli.Cell{Text: "-"}
			if after, reached := j.Hops[hop]; reached {
				cell.Text = "+" + cli.Duration(seconds(after))
			}
			row = append(row, cell)
		}
		result := cli.Cell{Text: OrDash(j.Result), Colour: cli.Red}
		if j.Result == "success" {
			result.Colour = cli.Green
		}
		rows = append(rows, append(row, result, cli.Cell{Text: OrDash(j.Runner)}))
	}
	screen.Table(append(head, "RESULT", "RUNNER"), rows)
}
