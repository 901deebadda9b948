package tool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/forges"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Setup is the configuration with all that it refers to.
type Setup struct {
	*config.Config
	Secrets      config.Secrets
	Certificates []byte        // of CAs that are trusted beside the system's; read with the secrets
	Limits       ledger.Limits // of this machine: pools, and what the host has for them
}

// ReadSetup reads the configuration at path, without its secrets.
func ReadSetup(path string) (Setup, error) { return complete(config.Read(path)) }

// ReadPart is ReadSetup for commands that need some sections only, or none.
func ReadPart(path string, sections ...string) (Setup, error) {
	return complete(config.ReadPart(path, sections...))
}

func complete(read *config.Config, err error) (Setup, error) {
	s := Setup{Config: read}
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
	s.Limits = ledger.Limits{Pools: s.PoolSet(), Level: ledger.LevelOf(s.RunnersAt()), Forge: s.About(), Host: s.Host.Resources(machine)}
	return s, nil
}

// ResolveSecrets gets the secrets, and the certificates of CAs, which are none.
func (s *Setup) ResolveSecrets() error { return s.resolveWith(s.Resolve) }

func (s *Setup) resolveWith(resolve func(lookup func(string) (string, bool)) (config.Secrets, error)) (err error) {
	if s.Certificates, err = s.CA(); err != nil {
		return cli.Usage(err, "write the certificates of the server's CA there, or remove the key where the system has them")
	}
	if s.Secrets, err = resolve(os.LookupEnv); err != nil {
		return cli.Usage(err, "set the variable or write the file, readable by mayfly only")
	}
	if err := s.checkKey(); err != nil {
		return cli.Usage(err, "docs/operate.md, A GitHub App, tells where the key comes from")
	}
	return nil
}

// checkKey finds an App's key that is none.
func (s *Setup) checkKey() error {
	if s.Secrets.AppKey.IsZero() {
		return nil
	}
	if _, err := github.ParseKey(s.Secrets.AppKey); err != nil {
		return s.FaultAt("github.app.private_key", "github.app.private_key %s: %v", s.GitHub.App.PrivateKey, err)
	}
	return nil
}

// AtGitHub is how to reach GitHub, and as whom, for what there is at GitHub alone.
func (s *Setup) AtGitHub() github.Config { return forges.GitHub(s.Config, s.Secrets, s.Certificates) }

// NeedGitHub refuses a command that is for GitHub only where jobs come from elsewhere.
func (s *Setup) NeedGitHub() error {
	if s.Forge == config.ForgeGitHub {
		return nil
	}
	return cli.Usage(fmt.Errorf("forge: %s: this command is for GitHub only", s.Forge), "docs/gitea.md lists what differs")
}

// Open returns the forge of the configuration.
func (s *Setup) Open() (forge.Forge, error) { return forges.Open(s.Config, s.Secrets, s.Certificates) }

// ForgeFor returns a client for GitHub, for commands that need nothing but that.
func ForgeFor(path string) (*github.Client, error) {
	s, err := ReadPart(path, "github")
	if err != nil {
		return nil, err
	}
	if err := s.NeedGitHub(); err != nil {
		return nil, err
	}
	if err := s.resolveWith(s.ResolveForge); err != nil {
		return nil, err
	}
	return github.New(s.AtGitHub())
}

// ClientFor returns the forge, for the commands that need no machine.
func ClientFor(path string) (Setup, forge.Forge, error) {
	s, err := ReadSetup(path)
	if err != nil {
		return s, nil, err
	}
	if err := s.ResolveSecrets(); err != nil {
		return s, nil, err
	}
	c, err := s.Open()
	return s, c, err
}
