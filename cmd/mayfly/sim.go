package main

import (
	"context"
	"crypto/rand"
	"errors"
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
	Listen     string   `help:"Address and port." default:"127.0.0.1:8090" placeholder:"HOST:PORT"`
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
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	base := "http://" + l.Addr().String()
	screen.Notef(`a simulated GitHub at %[1]s, for tests of runner set-ups; token %[2]s

  github: {url: %[1]s, token: env:GITHUB_TOKEN}          in mayfly.yaml
  GITHUB_TOKEN=%[2]s mayfly token %[3]s      to register a runner by hand
  git clone %[4]s   push workflows to start jobs
  curl -H "Authorization: Bearer %[2]s" %[1]s/_sim/jobs`, base, c.Token, first(c.Repository, "OWNER/NAME"), "http://sim:"+c.Token+"@"+l.Addr().String()+"/"+first(c.Repository, "OWNER/NAME")+".git")
	if err := sim.Serve(ctx, l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func first(list []string, otherwise string) string {
	if len(list) == 0 {
		return otherwise
	}
	return list[0]
}
