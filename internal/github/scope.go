package github

import (
	"fmt"
	"strings"
)

type kind byte

const (
	nowhere kind = iota
	repository
	organization
	enterprise
	app
)

// A Scope is a place on GitHub that has runners and webhooks: a repository, an
// organisation or an enterprise; or an App, which has a webhook only. Scopes
// can be compared; the zero Scope is nowhere, and every call refuses it.
type Scope struct {
	kind  kind
	owner string // login, or slug of an enterprise; "" for an App
	name  string // of a repository
}

// AppScope is the App that a [Client] acts as.
func AppScope() Scope { return Scope{kind: app} }

// enterprisePrefix tells an enterprise from a repository; GitHub has no owner
// of that name.
const enterprisePrefix = "enterprises/"

// ParseScope reads "acme/web" (a repository), "acme" (an organisation) or
// "enterprises/acme" (an enterprise, by its slug).
func ParseScope(s string) (Scope, error) {
	if slug, ok := strings.CutPrefix(s, enterprisePrefix); ok {
		return newScope(s, enterprise, slug, "")
	}
	if owner, name, ok := strings.Cut(s, "/"); ok {
		return newScope(s, repository, owner, name)
	}
	return newScope(s, organization, s, "")
}

func newScope(s string, k kind, owner, name string) (Scope, error) {
	if !isName(owner) || (k == repository) != isName(name) {
		return Scope{}, fmt.Errorf("scope %q: want owner/repository, organisation or enterprises/slug, such as acme/web, acme or enterprises/acme", s)
	}
	return Scope{k, owner, name}, nil
}

// isName reports whether s can stand as a segment of GitHub's paths. GitHub
// allows less; it says so itself.
func isName(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > 100 {
		return false
	}
	for _, c := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", c) {
			return false
		}
	}
	return true
}

// String gives what [ParseScope] reads; "app" for an App, "nowhere" for the zero
// Scope.
func (s Scope) String() string {
	switch s.kind {
	case repository:
		return s.owner + "/" + s.name
	case organization:
		return s.owner
	case enterprise:
		return enterprisePrefix + s.owner
	case app:
		return "app"
	}
	return "nowhere"
}

// MarshalText and UnmarshalText let a Scope stand in JSON and in flags.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what [ParseScope] does.
func (s *Scope) UnmarshalText(text []byte) error {
	parsed, err := ParseScope(string(text))
	*s = parsed
	return err
}

// path is where s is in the REST API, without a slash at either end.
func (s Scope) path() string {
	switch s.kind {
	case repository:
		return "repos/" + s.owner + "/" + s.name
	case organization:
		return "orgs/" + s.owner
	case enterprise:
		return "enterprises/" + s.owner
	}
	return "app"
}

// page is the path of s for a browser, and for config.sh --url.
func (s Scope) page() string {
	if s.kind == organization || s.kind == repository || s.kind == enterprise {
		return "/" + s.String()
	}
	return ""
}

// runners returns the path of s's runners.
func (s Scope) runners() (string, error) {
	if s.kind == nowhere || s.kind == app {
		return "", fmt.Errorf("runners of %s: want a repository, an organisation or an enterprise", s)
	}
	return s.path() + "/actions/runners", nil
}

// Permissions that calls need, by what they are about, in the words of GitHub's
// settings pages.
// https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
func (s Scope) runnerPermission() string {
	switch s.kind {
	case organization:
		return `organisation permission "Self-hosted runners" (read and write); for a token, scope admin:org`
	case enterprise:
		return `enterprise permission "Enterprise self-hosted runners" (read and write); for a token, scope manage_runners:enterprise`
	}
	return `repository permission "Administration" (read and write); for a token, scope repo`
}

func (s Scope) hookPermission() string {
	if s.kind == organization {
		return `organisation permission "Webhooks" (read and write); for a token, scope admin:org_hook`
	}
	return `repository permission "Webhooks" (read and write); for a token, scope admin:repo_hook`
}
