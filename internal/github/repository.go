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

	gh "github.com/google/go-github/v88/github"
)

// Repositories returns some of the repositories at a place that has a webhook, such as an organization or the App: those that were
// pushed to last, a hundred at most, and a hundred of the others, of which each has its turn as turn goes up by one.
// Archived ones are left out: nothing runs there. The cost is two calls, and for an App
// one more and up to four for each installation, whose list GitHub does not sort. With an error
// it returns what could be read.
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
	case c.key == nil: // GitHub has no list of an enterprise's repositories: it is those that the token may see
		return c.some(ctx, c.do, at, "user"+lately, 1, turn)
	}
	return c.ofInstallations(ctx, turn)
}

const reposPermission = `repository permission "Metadata" (read); for a token, scope repo`

// unsorted is how many pages of a list are read each time where GitHub does not sort it.
const unsorted = 3

// ofInstallations is Repositories for all installations of the App.
func (c *Client) ofInstallations(ctx context.Context, turn int) (all []Repository, faults error) {
	type page []struct {
		ID        int64
		Account   struct{ Login string } // "" of an enterprise, which has no repositories
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
		as := func(ctx context.Context, r request) (*gh.Response, error) { return c.doAs(ctx, cred, r) }
		some, err := c.some(ctx, as, owner, "installation/repositories", unsorted, turn)
		all, faults = append(all, some...), errors.Join(faults, err)
	}
	return all, faults
}

// actingAs is acting for an owner whose installation is known.
func (c *Client) actingAs(ctx context.Context, owner Scope, installation int64) (*credential, error) {
	in := c.installed.of(c.ownerKey(owner))
	select {
	case in.finding <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-in.finding }()
	var err error
	if in.cred == nil {
		in.cred, err = c.installationCredential(installation)
	}
	return in.cred, err
}

// some reads the first pages of the list at path, and of those after them the one whose turn it is.
func (c *Client) some(ctx context.Context, do func(context.Context, request) (*gh.Response, error), at Scope, path string, first, turn int) ([]Repository, error) {
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
		res, err := do(ctx, request{
			doing: "listing the repositories of " + at.String(), scope: at, method: http.MethodGet, path: u.Path + "?" + query.Encode(),
			into: &page, priority: housekeeping, needs: reposPermission,
		})
		if err != nil {
			return 0, err
		}
		all = append(all, page.active()...)
		return res.LastPage, nil
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

// A repositoryPage is a page of a list of repositories, which one of GitHub's calls puts
// into an object.
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
