// Package forges opens the forge that a configuration means: the one place where it is
// known which there are.
package forges

import (
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/gitea"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
)

// Open returns the forge of c, as which s has the credential. ca are the certificates of
// [config.Config.CA].
func Open(c *config.Config, s config.Secrets, ca []byte) (forge.Forge, error) {
	if c.Forge == config.ForgeGitea {
		return gitea.New(gitea.Config{URL: c.Gitea.URL, Token: s.Token, CA: ca})
	}
	return github.New(GitHub(c, s, ca))
}

// Product is the runner of the forge of c.
func Product(c *config.Config) forge.Product {
	if c.Forge == config.ForgeGitea {
		return gitea.Product
	}
	return archive.Actions
}

// GitHub is how to reach the GitHub of c, for what there is at GitHub alone. For another
// forge it has no credential: that one's token must not go to GitHub.
func GitHub(c *config.Config, s config.Secrets, ca []byte) github.Config {
	if c.Forge != config.ForgeGitHub {
		return github.Config{URL: c.GitHub.URL}
	}
	g := github.Config{URL: c.GitHub.URL, CA: ca, Token: s.Token}
	if c.GitHub.App.ID != 0 {
		g.App = &github.App{ID: c.GitHub.App.ID, PrivateKey: s.AppKey}
	}
	return g
}
