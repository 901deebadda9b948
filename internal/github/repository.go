package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Repositories returns some of the repositories of a webhook's place, such as an organization or the App: up to a hundred that were
// pushed to last, and a page of a hundred others. As turn counts up, every page has its turn. It leaves out
// archived repositories, where nothing runs. It costs two calls, and for an App one more and up to four for
// each installation, because GitHub does not sort those lists. With an error it returns what it read before.
// https://docs.github.com/en/rest/repos/repos#list-organization-repositories
// https://docs.github.com/en/rest/apps/installations#list-repositories-accessible-to-the-app-installation
// https://docs.github.com/en/rest/repos/repos#list-repositories-for-the-authenticated-user
func (c *Client) Repositories(ctx context.Context, at Scope, turn int) ([]Repository, error) {
	const lately = "/repos?sort=pushed&direction=desc"
	switch {
	case at.Kind == nowhere:
		return nil, nil
	case at.Kind == repository:
		return []Repository{{Name: at.String()}}, nil
	case at.Kind == organization:
		return c.some(ctx, c.do, at, restPath(at)+lately, 1, turn)
	case c.key == nil: // GitHub cannot list an enterprise's repositories: list those that the token may see
		return c.some(ctx, c.do, at, "user"+lately, 1, turn)
	}
	return c.ofInstallations(ctx, turn)
}

const reposPermission = `repository permission "Metadata" (read); for a token, scope repo`

// unsorted is how many pages are always read of a list that GitHub does not sort.
const unsorted = 3

// ofInstallations is Repositories for all installations of the App.
func (c *Client) ofInstallations(ctx context.Context, turn int) (all []Repository, faults error) {
	type page []struct {
		ID        int64
		Account   struct{ Login string } // "" for an enterprise, which has no repositories
		Suspended string                 `json:"suspended_at"`
	}
	r := request{
		doing: "listing the App's installations", scope: AppScope(),
		method: http.MethodGet, path: "app/installations", priority: housekeeping, needs: "to be installed somewhere",
	}
	var installed page
	err := list(ctx, c.do, r, func(p page) bool {
		installed = append(installed, p...)
		return true
	})
	if err != nil {
		return nil, err
	}
	for _, in := range installed {
		if one := c.config.App.Installation; in.Account.Login == "" || in.Suspended != "" || one != 0 && one != in.ID {
			continue
		}
		owner := Scope{Kind: organization, Owner: in.Account.Login}
		cred, err := c.actingAs(ctx, owner, in.ID)
		if err != nil {
			return all, errors.Join(faults, err)
		}
		as := func(ctx context.Context, r request) (http.Header, error) { return c.doAs(ctx, cred, r) }
		some, err := c.some(ctx, as, owner, "installation/repositories", unsorted, turn)
		all, faults = append(all, some...), errors.Join(faults, err)
	}
	return all, faults
}

// actingAs is acting for an owner whose installation id is known.
func (c *Client) actingAs(ctx context.Context, owner Scope, installation int64) (*credential, error) {
	in := c.installed.of(c.ownerKey(owner))
	select {
	case in.finding <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-in.finding }()
	if in.cred == nil {
		in.cred = c.installationCredential(installation)
	}
	return in.cred, nil
}

// some reads the first pages of the list at path, and one of the later pages, chosen by turn.
func (c *Client) some(ctx context.Context, do func(context.Context, request) (http.Header, error), at Scope, path string, first, turn int) ([]Repository, error) {
	u, err := url.Parse(path)
	if err != nil {
		return nil, err
	}
	var all []Repository
	read := func(n int) (last int, err error) {
		query := u.Query()
		query.Set("per_page", strconv.Itoa(pageSize))
		if n > 1 {
			query.Set("page", strconv.Itoa(n))
		}
		var page repositoryPage
		header, err := do(ctx, request{
			doing: "listing the repositories of " + at.String(), scope: at, method: http.MethodGet, path: u.Path + "?" + query.Encode(),
			into: &page, priority: housekeeping, needs: reposPermission,
		})
		if err != nil {
			return 0, err
		}
		all = append(all, page.active()...)
		last, _ = strconv.Atoi(link(header, "last").Get("page")) // 0 on the last page, whose header names none
		return last, nil
	}
	last, err := read(1)
	for n := 2; n <= min(first, last) && err == nil; n++ {
		_, err = read(n)
	}
	if rest := last - first; rest > 0 && err == nil {
		_, err = read(first + 1 + turn%rest)
	}
	return all, err
}

// A repositoryPage is a page of a list of repositories: an array, or an object with an array,
// depending on the call.
type repositoryPage []struct {
	FullName string `json:"full_name"`
	Archived bool
	Disabled bool
	Owner    struct{ Login, Type string }
}

// UnmarshalJSON reads both forms.
func (p *repositoryPage) UnmarshalJSON(text []byte) error {
	type plain repositoryPage
	if !strings.HasPrefix(string(text), "{") {
		return json.Unmarshal(text, (*plain)(p))
	}
	var in struct{ Repositories *plain }
	in.Repositories = (*plain)(p)
	if err := json.Unmarshal(text, &in); err != nil {
		return fmt.Errorf("list of repositories: %w", err)
	}
	return nil
}

func (p repositoryPage) active() (some []Repository) {
	for _, r := range p {
		if r.Archived || r.Disabled {
			continue
		}
		one := Repository{Name: r.FullName}
		if r.Owner.Type == "Organization" {
			one.Organization = r.Owner.Login
		}
		some = append(some, one)
	}
	return some
}
