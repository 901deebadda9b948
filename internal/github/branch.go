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

// contentPermission is the permission to push a workflow. Without "Workflows" GitHub answers 404.
const contentPermission = `repository permissions "Contents" and "Workflows" (read and write); for a token, scopes repo and workflow`

// CreateBranch creates a branch of repository whose only commit contains files and has no
// parent, so that nothing else of the repository can run. It uses the API, not git. It
// returns the commit, also with an error if the branch may exist. The error is
// [ErrConflict] for an empty repository, to which GitHub cannot write objects, and
// [ErrUnprocessable] if the branch exists.
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

// writeGit creates a git object or a ref, and returns the id of an object.
func (c *Client) writeGit(ctx context.Context, s Scope, branch, what string, body any) (sha string, err error) {
	var answer struct{ SHA string }
	_, err = c.do(ctx, request{
		doing: fmt.Sprintf("making branch %s of %s: %s", branch, s, what), scope: s,
		method: http.MethodPost, path: restPath(s) + "/git/" + what, body: body, into: &answer,
		priority: housekeeping, needs: contentPermission,
	})
	return answer.SHA, err
}

// HasBranch reports whether repository has the branch.
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

// RemoveBranch removes a branch. It returns nil if the branch does not exist.
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
