package github

import (
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// Short names for the kinds of [Scope].
const (
	nowhere      = forge.Nowhere
	repository   = forge.OfRepository
	organization = forge.OfOrganization
	enterprise   = forge.OfEnterprise
	app          = forge.OfApp
)

// restPath returns the path of s in the REST API, without a slash at either end.
func restPath(s Scope) string {
	switch s.Kind {
	case repository:
		return "repos/" + s.String()
	case organization:
		return "orgs/" + s.String()
	case enterprise:
		return s.String()
	}
	return "app"
}

// webPage returns the path of s for a browser, and for config.sh --url.
func webPage(s Scope) string {
	if s.Kind == organization || s.Kind == repository || s.Kind == enterprise {
		return "/" + s.String()
	}
	return ""
}

// runnersPath returns the path of s's runners.
func runnersPath(s Scope) (string, error) {
	if s.Kind == nowhere || s.Kind == app {
		return "", fmt.Errorf("runners of %s: want a repository, an organisation or an enterprise", s)
	}
	return restPath(s) + "/actions/runners", nil
}

// Permissions that calls need, in the words of GitHub's settings pages.
// https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
func runnerPermission(s Scope) string {
	switch s.Kind {
	case organization:
		return `organisation permission "Self-hosted runners" (read and write); for a token, scope admin:org`
	case enterprise:
		return `enterprise permission "Enterprise self-hosted runners" (read and write); for a token, scope manage_runners:enterprise`
	}
	return `repository permission "Administration" (read and write); for a token, scope repo`
}

func hookPermission(s Scope) string {
	if s.Kind == organization {
		return `organisation permission "Webhooks" (read and write); for a token, scope admin:org_hook`
	}
	return `repository permission "Webhooks" (read and write); for a token, scope admin:repo_hook`
}
