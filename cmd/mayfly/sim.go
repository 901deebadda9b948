package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// simCmd is `mayfly sim`.
type simCmd struct {
	Listen     string   `help:"Address and port; without an address, 127.0.0.1. GitHub's config.sh drops the port of --url: to register runners with it, listen on :80. JIT configurations work on any port." default:"127.0.0.1:8090" placeholder:"[HOST]:PORT"`
	URL        string   `help:"Address by which runners and others reach it, when that is another." placeholder:"URL"`
	Token      string   `help:"Token for its API; made up by default." env:"MAYFLY_SIM_TOKEN" placeholder:"TOKEN"`
	Repository []string `help:"Repositories that are there from the start. Each may be pushed to." default:"acme/web" placeholder:"OWNER/NAME"`
	Enterprise string   `help:"Slug of the enterprise." default:"acme-inc" placeholder:"SLUG"`
	Dir        string   `help:"Folder for git repositories; a temporary one by default." type:"path" placeholder:"DIR"`
}

// Run serves a simulated GitHub until ctx ends.
func (c *simCmd) Run(ctx context.Context, screen *cli.Screen, log *slog.Logger) (err error) {
	if c.Token == "" {
		c.Token = "ghp_" + rand.Text()
	}
	sim, err := githubsim.New(githubsim.Config{
		Log: log, Now: time.Now, URL: strings.TrimSuffix(c.URL, "/"), Enterprise: c.Enterprise, Dir: c.Dir,
		Tokens: []secret.Secret{secret.New(c.Token)},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	if !slices.Contains(c.Repository, githubsim.Checkout) {
		if err := sim.AddCheckout(); err != nil {
			return err
		}
	}
	for _, name := range c.Repository {
		if err := sim.CreateRepository(githubsim.Repository{Name: name}); err != nil {
			return cli.Usage(err, "want owner/name, each once")
		}
	}
	changes := sim.Subscribe()
	defer changes.Close()
	go watchPages(ctx, screen, changes)
	l, err := net.Listen("tcp", c.address())
	if err != nil {
		return cli.Hint(err, "mayfly sim --listen 127.0.0.1:0 takes a port that is free")
	}
	screen.Notef("%s", c.welcome(l.Addr()))
	if err := sim.Serve(ctx, l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// address is where to listen: without an address on this machine's loopback only.
func (c *simCmd) address() string {
	if strings.HasPrefix(c.Listen, ":") {
		return "127.0.0.1" + c.Listen
	}
	return c.Listen
}

// welcome says what to do with the simulator; every line of it that is a command works
// as it stands.
func (c *simCmd) welcome(at net.Addr) string {
	base := cmp.Or(strings.TrimSuffix(c.URL, "/"), "http://"+strings.TrimSuffix(at.String(), ":80"))
	scheme, host, _ := strings.Cut(base, "://")
	repository := first(c.Repository, "OWNER/NAME")
	text := fmt.Sprintf(`a simulated GitHub at %[1]s, for tests of runner set-ups; token %[2]s

to register a runner by hand:
  echo 'github: {url: "%[1]s", token: env:GITHUB_TOKEN}' > sim.yaml
  GITHUB_TOKEN=%[2]s mayfly -c sim.yaml token %[3]s
to start jobs, push workflows; actions/checkout is there, other actions are pushed to repositories of their own, see --repository:
  git clone %[5]s://sim:%[2]s@%[4]s/%[3]s
to see jobs and runs:
  curl -H "Authorization: Bearer %[2]s" %[1]s/_sim/jobs
  curl -H "Authorization: Bearer %[2]s" %[1]s/_sim/runs`, base, c.Token, repository, host, scheme)
	if strings.Contains(host, ":") {
		text += "\n\nGitHub's config.sh drops the port of an address: to use it, start mayfly sim --listen :80. Its run.sh --jitconfig works here."
	}
	return text
}

func first(list []string, otherwise string) string {
	if len(list) == 0 {
		return otherwise
	}
	return list[0]
}
