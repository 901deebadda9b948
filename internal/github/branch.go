package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// contentPermission is what it takes to push a workflow. Without the second half GitHub
// answers 404.
const contentPermission = `repository permissions "Contents" and "Workflows" (read and write); for a token, scopes repo and workflow`

// CreateBranch makes a branch of repository with one commit on it that holds files and
// has no parent, so that nothing else of the repository is there to be run; no git is
// needed. It returns the commit, with an error, too, if the branch may be there.
// [ErrConflict] when the repository is empty, which has no database to write to;
// [ErrUnprocessable] when the branch exists.
// https://docs.github.com/en/rest/git/trees, /commits, /refs
func (c *Client) CreateBranch(ctx context.Context, repository, branch, message string, files map[string]string) (sha string, err error) {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return "", err
	}
	var entries []map[string]string
	for path, text := range files {
		entries = append(entries, map[string]string{"path": path, "mode": "100644", "type": "blob", "content": text})
	}
	slices.SortFunc(entries, func(a, b map[string]string) int { return strings.Compare(a["path"], b["path"]) })
	tree, err := c.writeGit(ctx, s, branch, "trees", map[string]any{"tree": entries})
	if err != nil {
		return "", err
	}
	commit, err := c.writeGit(ctx, s, branch, "commits", map[string]any{"message": message, "tree": tree, "parents": []string{}})
	if err != nil {
		return "", err
	}
	_, err = c.writeGit(ctx, s, branch, "refs", map[string]any{"ref": "refs/heads/" + branch, "sha": commit})
	return commit, err
}

// writeGit makes an object or a ref and returns the id of the former.
func (c *Client) writeGit(ctx context.Context, s Scope, branch, what string, body any) (sha string, err error) {
	var answer struct{ SHA string }
	_, err = c.do(ctx, request{
		doing: fmt.Sprintf("making branch %s of %s: %s", branch, s, what), scope: s,
		method: http.MethodPost, path: restPath(s) + "/git/" + what, body: body, into: &answer,
		priority: housekeeping, needs: contentPermission,
	})
	return answer.SHA, err
}

// HasBranch reports whether repository has a branch of that name.
// https://docs.github.com/en/rest/git/refs#get-a-reference
func (c *Client) HasBranch(ctx context.Context, repository, branch string) (bool, error) {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return false, err
	}
	_, err = c.do(ctx, request{
		doing: fmt.Sprintf("looking for branch %s of %s", branch, s), scope: s,
		method: http.MethodGet, path: restPath(s) + "/git/ref/heads/" + branch, priority: housekeeping, needs: contentPermission,
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// RemoveBranch removes a branch; nil when there is none.
// https://docs.github.com/en/rest/git/refs#delete-a-reference
func (c *Client) RemoveBranch(ctx context.Context, repository, branch string) error {
	s, err := forge.ParseRepository(repository)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, request{
		doing: fmt.Sprintf("removing branch %s of %s", branch, s), scope: s,
		method: http.MethodDelete, path: restPath(s) + "/git/refs/heads/" + branch, priority: housekeeping, needs: contentPermission,
		kinds: map[int]error{http.StatusUnprocessableEntity: errGone}, // "Reference does not exist"
	})
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}
