package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/forges"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// A setup is the configuration with all that it refers to.
type setup struct {
	*config.Config
	secrets config.Secrets
	ca      []byte        // of GitHub, beside the system's; read with the secrets
	limits  ledger.Limits // pools, and what the host has for them
}

// readSetup reads the configuration at path, without its secrets.
func readSetup(path string) (setup, error) { return complete(config.Read(path)) }

// readPart is readSetup for commands that need some sections only, or none.
func readPart(path string, sections ...string) (setup, error) {
	return complete(config.ReadPart(path, sections...))
}

func complete(read *config.Config, err error) (setup, error) {
	s := setup{Config: read}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, cli.Usage(err, "mayfly init writes a commented file to begin with; --config names another")
	case err != nil:
		return s, cli.Usage(err, "mayfly config schema and docs/config.md tell what a configuration can hold")
	}
	machine, err := fleet.Host()
	if err != nil {
		return s, err
	}
	s.State = s.Abs(s.State)
	s.limits = ledger.Limits{Pools: s.PoolSet(), Level: ledger.LevelOf(s.RunnersAt()), Forge: s.About(), Host: s.Host.Resources(machine)}
	return s, nil
}

// resolve gets the secrets, and the certificates of GitHub's CA, which are none.
func (s *setup) resolve() error { return s.resolveWith(s.Resolve) }

func (s *setup) resolveWith(resolve func(lookup func(string) (string, bool)) (config.Secrets, error)) (err error) {
	if s.ca, err = s.CA(); err != nil {
		return cli.Usage(err, "write the certificates of the server's CA there, or remove the key where the system has them")
	}
	if s.secrets, err = resolve(os.LookupEnv); err != nil {
		return cli.Usage(err, "set the variable or write the file, readable by mayfly only")
	}
	if err := s.checkKey(); err != nil {
		return cli.Usage(err, "docs/operate.md, A GitHub App, tells where the key comes from")
	}
	return nil
}

// outside is what the configuration's rules lead to.
func (s *setup) outside() machine.Outside { return machine.NewOutside(s.Config, s.secrets.Rules) }

// forge is how to reach GitHub, and as whom, for what there is at GitHub alone.
func (s *setup) forge() github.Config { return forges.GitHub(s.Config, s.secrets, s.ca) }

// atGitHub refuses a command that is for GitHub only where jobs come from elsewhere.
func (s *setup) atGitHub() error {
	if s.Forge == config.ForgeGitHub {
		return nil
	}
	return cli.Usage(fmt.Errorf("forge: %s: this command is for GitHub only", s.Forge), "docs/gitea.md lists what differs")
}

// forgeFor returns a client for GitHub, for commands that need nothing but that.
func forgeFor(path string) (*github.Client, error) {
	s, err := readPart(path, "github")
	if err != nil {
		return nil, err
	}
	if err := s.atGitHub(); err != nil {
		return nil, err
	}
	if err := s.resolveWith(s.ResolveForge); err != nil {
		return nil, err
	}
	return github.New(s.forge())
}

// clientFor returns the forge, for the commands that need no machine.
func clientFor(path string) (setup, forge.Forge, error) {
	s, err := readSetup(path)
	if err != nil {
		return s, nil, err
	}
	if err := s.resolve(); err != nil {
		return s, nil, err
	}
	c, err := forges.Open(s.Config, s.secrets, s.ca)
	return s, c, err
}

// settings are what a machine is made of.
func (s *setup) settings() (machine.Config, error) {
	agent, err := cli.Companion("mayfly-agent")
	if err != nil {
		return machine.Config{}, err
	}
	at, err := forges.Open(s.Config, s.secrets, s.ca)
	if err != nil {
		return machine.Config{}, err
	}
	return machine.Config{
		State: s.State, Archive: s.Archive, Metrics: s.Metrics, Limits: s.limits, Outside: s.outside(),
		Webhook: webhook.Config{Secrets: s.secrets.Webhook, MaxBody: int64(s.Webhook.MaxBody), Events: s.Webhook.Events},
		Forge:   at, Enterprise: s.RunnersAt(), HookAt: s.Webhook.At, HookURL: s.Webhook.URL,
		Launcher: machine.Launch{
			Kind: s.Launcher, Sockets: s.sockets(), Named: s.Engine.Socket != "", Programs: s.programs(), Agent: agent,
		},
		Image: s.image(), Version: version,
	}, nil
}

// image are the settings of images that are built here.
func (s *setup) image() machine.ImageConfig {
	settings := machine.ImageConfig{Image: s.Image, Sockets: s.sockets(), State: s.State}
	if settings.Source != "" {
		settings.Source = s.Abs(settings.Source)
	}
	return settings
}

// sockets returns where an engine may answer.
func (s *setup) sockets() []string {
	if s.Engine.Socket != "" {
		return []string{s.Engine.Socket}
	}
	return engineSockets()
}

// engineSockets returns where engines usually listen.
func engineSockets() []string {
	return docker.Sockets(os.Getenv("DOCKER_HOST"), os.Getenv("XDG_RUNTIME_DIR"))
}

func (s *setup) programs() map[string]string {
	absolute := map[string]string{}
	for host, inside := range s.Sandbox.Programs {
		absolute[s.Abs(host)] = inside
	}
	return absolute
}

// explainForge gives the errors of GitHub's client their hints and code.
func explainForge(err error) error {
	var refused *github.Error
	if !errors.As(err, &refused) {
		return err
	}
	return cli.Hint(cli.WithCode(err, cli.ExitForge), "%s", refused.Hint())
}

// initCmd is `mayfly init`.
type initCmd struct {
	Force bool   `help:"Overwrite a file that is there."`
	Forge string `help:"Where jobs come from: github or gitea." enum:"github,gitea" default:"github"`
}

// Run writes the starter file.
func (c *initCmd) Run(all *commands, screen *cli.Screen) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if c.Force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(all.Config, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return cli.Usage(err, "--force overwrites it; --config writes another")
	} else if err != nil {
		return err
	}
	_, err = file.WriteString(config.Starter(c.Forge))
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	screen.Notef("wrote %s: fill in what is marked, then\n  mayfly config check\n  mayfly webhook install\n  mayfly up", relative(all.Config))
	return nil
}

// relative prints path as seen from here when it is below here.
func relative(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

// configCmd is `mayfly config`.
type configCmd struct {
	Check     configCheckCmd     `cmd:"" help:"Read the configuration and say what is wrong or questionable."`
	Schema    configSchemaCmd    `cmd:"" help:"Print the JSON Schema, for editors."`
	Reference configReferenceCmd `cmd:"" help:"Print the reference page, in Markdown."`
}

type configSchemaCmd struct{}

// Run prints the schema.
func (configSchemaCmd) Run(screen *cli.Screen) error {
	_, err := screen.Out.Write(config.JSONSchema())
	return err
}

type configReferenceCmd struct{}

// Run prints the reference page.
func (configReferenceCmd) Run(screen *cli.Screen) error {
	_, err := fmt.Fprint(screen.Out, config.Reference())
	return err
}
