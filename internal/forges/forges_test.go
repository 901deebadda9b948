package forges_test

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/forges"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

const rest = "\nwebhook: {at: acme, secrets: [env:S]}\npools: [{name: a, labels: [a]}]\n"

// TestOpen: the configuration decides, and no forge gets the token of another.
func TestOpen(t *testing.T) {
	for text, want := range map[string]string{
		"github: {token: env:T}": "GitHub https://github.com",
		"forge: gitea\ngitea: {url: 'https://g.example/', token: env:T}": "Gitea https://g.example",
	} {
		c, err := config.Parse("m.yaml", []byte(text+rest))
		if err != nil {
			t.Fatal(err)
		}
		secrets := config.Secrets{Token: secret.New("a token")}
		f, err := forges.Open(c, secrets, nil)
		if err != nil || f.Name()+" "+f.Web() != want || f.Name() != c.About().String() {
			t.Errorf("%s: %v, %v: want %s", text, f, err, want)
		}
		if g := forges.GitHub(c, secrets, nil); g.Token.IsZero() != (c.Forge == config.ForgeGitea) {
			t.Errorf("%s: GitHub gets a token: %v", text, !g.Token.IsZero())
		}
		if _, err := github.New(forges.GitHub(c, secrets, nil)); (err != nil) != (c.Forge == config.ForgeGitea) {
			t.Errorf("%s: GitHub's client: %v", text, err)
		}
	}
}

func TestGiteaFaults(t *testing.T) {
	for _, text := range []string{
		"forge: gitea", "forge: gitea\ngitea: {token: env:T}", "forge: gitea\ngitea: {url: 'https://g.example'}",
		"forge: gitea\ngitea: {url: g.example, token: env:T}", "forge: gitea\nplatform: aws\ngitea: {url: 'https://g.example', token: env:T}",
		"forge: gitea\ngithub: {token: env:T}", "forge: gitea\ngitea: {url: 'https://g.example', token: env:T}\nimage: {canary_repository: acme/web}", "forge: gittea\ngithub: {token: env:T}",
	} {
		if _, err := config.Parse("m.yaml", []byte(text+rest)); err == nil {
			t.Errorf("%q: no fault", text)
		}
	}
	if _, err := config.Parse("m.yaml", []byte(config.Starter(config.ForgeGitea))); err != nil {
		t.Errorf("the starter for Gitea: %v", err)
	}
}
