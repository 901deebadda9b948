package config

import (
	"net/url"
	"reflect"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// Forges that [Config.Forge] can name.
const (
	ForgeGitHub = "github"
	ForgeGitea  = "gitea"
)

// Gitea is the Gitea that jobs come from.
type Gitea struct {
	URL       string    `yaml:"url" required:"yes" doc:"The address of Gitea, such as https://git.example.com. Mayfly and its runners must reach it."`
	Token     SecretRef `yaml:"token" required:"yes" doc:"An access token of a user who owns the organizations or repositories; docs/gitea.md lists its scopes."`
	CAFile    string    `yaml:"ca_file" doc:"A PEM file with extra CA certificates to trust. Runners and their jobs trust them, too."`
	RunnersAt string    `yaml:"runners_at" default:"repository" enum:"repository|organization" doc:"The level at which runners are registered."`
}

// RunnersAt is the level at which runners are registered: repository, organization or
// enterprises/SLUG.
func (c *Config) RunnersAt() string {
	if c.Forge == ForgeGitea {
		return c.Gitea.RunnersAt
	}
	return c.GitHub.RunnersAt
}

// About returns how the forge differs from others, for decisions and answers.
func (c *Config) About() forge.About {
	if c.Forge == ForgeGitea {
		return forge.About{Name: "Gitea", NoHosted: true}
	}
	return forge.About{}
}

// connection has what the sections of all forges have in common: how to reach the forge.
type connection struct {
	key    string // of the section
	url    string
	token  SecretRef
	caFile string
}

func (c *Config) connection() connection {
	if c.Forge == ForgeGitea {
		return connection{ForgeGitea, c.Gitea.URL, c.Gitea.Token, c.Gitea.CAFile}
	}
	return connection{ForgeGitHub, c.GitHub.URL, c.GitHub.Token, c.GitHub.CAFile}
}

// namesForge reports whether v is a Config whose forge has the section key. It relies on
// forge being the first field, so that it is read before the sections are.
func namesForge(v reflect.Value, key string) bool {
	c, ok := v.Addr().Interface().(*Config)
	return ok && c.Forge == key
}

// checkForge finds mistakes in the section of the chosen forge.
func (c *Config) checkForge(d *decoder) {
	if d.has(ForgeGitHub) {
		c.checkGitHub(d)
	}
	if c.Forge == ForgeGitea && d.has(ForgeGitea) {
		c.checkGitea(d)
	}
}

func (c *Config) checkGitea(d *decoder) {
	if u, err := url.Parse(c.Gitea.URL); c.Gitea.URL != "" && (err != nil || !isWeb(u)) {
		d.faultAt("gitea.url", "reading gitea: url %q: want the address of Gitea, such as https://git.example.com", c.Gitea.URL)
	}
	if c.Platform == PlatformAWS {
		d.faultAt("forge", "forge gitea is not supported on AWS: set platform: machine")
	}
	if c.Image.Canary != "" {
		d.faultAt("image.canary_repository", "reading image: canary_repository %q: it is for GitHub only: remove it, the canary on this machine stays", c.Image.Canary)
	}
	if at := c.Webhook.At; at == "app" || strings.HasPrefix(at, "enterprises/") {
		d.faultAt("webhook.at", "reading webhook: at %q is not supported with Gitea: want an organization or OWNER/REPOSITORY", at)
	}
}
