package forge

import (
	"fmt"
	"strings"
)

// A Kind is what sort of place a [Scope] is.
type Kind byte

// Kinds of place. A forge refuses those that it does not have.
const (
	Nowhere Kind = iota
	OfRepository
	OfOrganization
	OfEnterprise
	OfApp
)

// A Scope is a place on a forge that has runners and webhooks: a repository, an
// organisation or an enterprise; or an App, which has only a webhook. Scopes
// are comparable. The zero Scope is nowhere, and every call refuses it.
type Scope struct {
	Kind  Kind
	Owner string // login, or slug of an enterprise; "" for an App
	Name  string // of a repository
}

// AppScope is the App that a forge is called as.
func AppScope() Scope { return Scope{Kind: OfApp} }

// enterprisePrefix distinguishes an enterprise from a repository: no owner has that name.
const enterprisePrefix = "enterprises/"

// ParseScope reads "acme/web" (a repository), "acme" (an organisation) or
// "enterprises/acme" (an enterprise, by its slug).
func ParseScope(s string) (Scope, error) {
	if slug, ok := strings.CutPrefix(s, enterprisePrefix); ok {
		return newScope(s, OfEnterprise, slug, "")
	}
	if owner, name, ok := strings.Cut(s, "/"); ok {
		return newScope(s, OfRepository, owner, name)
	}
	return newScope(s, OfOrganization, s, "")
}

// ParseRepository reads only a repository, such as "acme/web".
func ParseRepository(s string) (Scope, error) {
	scope, err := ParseScope(s)
	if err != nil || scope.Kind != OfRepository {
		return Scope{}, fmt.Errorf("repository %q: want owner/name, such as acme/web", s)
	}
	return scope, nil
}

func newScope(s string, k Kind, owner, name string) (Scope, error) {
	if !isName(owner) || (k == OfRepository) != isName(name) {
		return Scope{}, fmt.Errorf("scope %q: want owner/repository, organisation or enterprises/slug, such as acme/web, acme or enterprises/acme", s)
	}
	return Scope{k, owner, name}, nil
}

// isName reports whether s is safe as a segment of a forge's paths. The forge itself rejects
// further names.
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

// String returns the form that [ParseScope] reads, "app" for an App, and "nowhere" for the zero
// Scope.
func (s Scope) String() string {
	switch s.Kind {
	case OfRepository:
		return s.Owner + "/" + s.Name
	case OfOrganization:
		return s.Owner
	case OfEnterprise:
		return enterprisePrefix + s.Owner
	case OfApp:
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
