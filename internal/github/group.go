package github

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	gh "github.com/google/go-github/v88/github"
)

// groups remembers the ids of runner groups, by name. An id that GitHub refuses is looked up again, because somebody
// may have deleted the group and made it anew.
type groups struct {
	mu    sync.Mutex
	known map[groupName]int64 // under mu
}

type groupName struct {
	scope Scope
	name  string // in lower case
}

// defaultGroup is the id of the group named Default, which every organization and enterprise has, and the only one of a repository.
const defaultGroup = 1

// id returns the id of group, which is an id, a name, or "" for the default group.
func (g *groups) id(ctx context.Context, c *Client, s Scope, group string) (int64, error) {
	if id, err := strconv.ParseInt(group, 10, 64); err == nil {
		return id, nil
	}
	if group == "" || strings.EqualFold(group, "Default") {
		return defaultGroup, nil
	}
	key := groupName{s, strings.ToLower(group)}
	g.mu.Lock()
	id := g.known[key]
	g.mu.Unlock()
	if id != 0 {
		return id, nil
	}
	id, err := c.findGroup(ctx, s, group)
	if err != nil {
		return 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known == nil {
		g.known = map[groupName]int64{}
	}
	g.known[key] = id
	return id, nil
}

func (g *groups) forget(s Scope, group string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, groupName{s, strings.ToLower(group)})
}

// findGroup asks GitHub for the id of the group called name.
// https://docs.github.com/en/rest/actions/self-hosted-runner-groups#list-self-hosted-runner-groups-for-an-organization
func (c *Client) findGroup(ctx context.Context, s Scope, name string) (int64, error) {
	path, err := groupsPath(s)
	if err != nil {
		return 0, err
	}
	r := request{
		doing: fmt.Sprintf("finding runner group %q of %s", name, s), scope: s,
		method: http.MethodGet, path: path, priority: urgent, needs: runnerPermission(s),
	}
	var id int64
	var others []string
	err = list(ctx, c.do, r, func(page gh.RunnerGroups) bool {
		for _, one := range page.RunnerGroups {
			if strings.EqualFold(one.GetName(), name) {
				id = one.GetID()
				return false
			}
			others = append(others, one.GetName())
		}
		return true
	})
	if err == nil && id == 0 {
		err = &Error{
			Doing: r.doing, Kind: ErrUnprocessable, Message: "there is no such group; the groups are " + strings.Join(others, ", "),
			Advice: "create it in the settings of " + s.String() + " under Actions, Runner groups, or change the pool's runner_group",
		}
	}
	return id, err
}

// groupsPath is the address of the groups of s; a repository has none of its own.
func groupsPath(s Scope) (string, error) {
	path, err := runnersPath(s)
	if err != nil {
		return "", err
	}
	if s.Kind == repository {
		return "", fmt.Errorf("runner group at the repository %s: only organizations and enterprises have groups: set github.runners_at", s)
	}
	return strings.TrimSuffix(path, "runners") + "runner-groups", nil
}
