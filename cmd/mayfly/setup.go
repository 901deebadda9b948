package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// A setup is the configuration as a machine needs it.
type setup struct{ tool.Setup }

// readSetup reads the configuration at path, without its secrets.
func readSetup(path string) (setup, error) {
	s, err := tool.ReadSetup(path)
	return setup{s}, err
}

// readPart is readSetup for commands that need some sections only, or none.
func readPart(path string, sections ...string) (setup, error) {
	s, err := tool.ReadPart(path, sections...)
	return setup{s}, err
}

// outside is what the configuration's rules lead to.
func (s *setup) outside() machine.Outside { return machine.NewOutside(s.Config, s.Secrets.Rules) }

// settings are what a machine is made of.
func (s *setup) settings() (machine.Config, error) {
	agent, err := cli.Companion("mayfly-agent")
	if err != nil {
		return machine.Config{}, err
	}
	at, err := s.Open()
	if err != nil {
		return machine.Config{}, err
	}
	return machine.Config{
		State: s.State, Archive: s.Archive, Metrics: s.Metrics, Limits: s.Limits, Outside: s.outside(),
		Webhook: webhook.Config{Secrets: s.Secrets.Webhook, MaxBody: int64(s.Webhook.MaxBody), Events: s.Webhook.Events},
		Forge:   at, Enterprise: s.RunnersAt(), HookAt: s.Webhook.At, HookURL: s.Webhook.URL, CA: string(s.Certificates),
		Launcher: machine.Launch{
			Kind: s.Launcher, Sockets: s.sockets(), Named: s.Engine.Socket != "", Programs: s.SandboxPrograms(), Agent: agent,
		},
		Image: s.image(), Version: version,
	}, nil
}

// image are the settings of images that are built here.
func (s *setup) image() machine.ImageConfig {
	settings := machine.ImageConfig{Image: s.Image, Sockets: s.sockets(), State: s.State, Proxy: s.Proxy.Env()}
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

// initCmd is `mayfly init`.
type initCmd struct {
	Force bool   `help:"Overwrite a file that is there."`
	Forge string `help:"Where jobs come from: github or gitea." enum:"github,gitea" default:"github"`
}

// Run writes the starter file.
func (c *initCmd) Run(all *tool.Globals, screen *cli.Screen) error {
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
	screen.Notef("wrote %s: fill in what is marked, then\n  mayfly config check\n  mayfly webhook install\n  mayfly up", tool.Relative(all.Config))
	return nil
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
