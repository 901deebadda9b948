package githubsim

import (
	"cmp"
	"net/http"
	"slices"
)

// repositoryRoutes are the lists of repositories.
// https://docs.github.com/en/rest/repos/repos#list-organization-repositories
// https://docs.github.com/en/rest/apps/installations#list-repositories-accessible-to-the-app-installation
func (s *Sim) repositoryRoutes() {
	s.asScope("GET /orgs/{org}/repos", func(c call) reply {
		shapes, links := s.listRepositories(c, func(r *repository) bool { return r.owner == c.scope.owner })
		return reply{http.StatusOK, shapes, links}
	})
	s.asToken("GET /user/repos", func(c call) reply {
		shapes, links := s.listRepositories(c, func(r *repository) bool { return c.cred.sees(scope{repo: r}) })
		return reply{http.StatusOK, shapes, links}
	})
	s.asToken("GET /installation/repositories", func(c call) reply {
		if c.cred.owner == nil {
			return refusal(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation.")
		}
		mine := func(r *repository) bool { return r.owner == c.cred.owner }
		total := 0
		for _, r := range s.repos {
			if mine(r) {
				total++
			}
		}
		shapes, links := s.listRepositories(c, mine)
		return reply{http.StatusOK, object{"total_count": total, "repositories": shapes}, links}
	})
}

// listRepositories lists those that match: by when they were pushed to if that is asked for, or else as they were made.
func (s *Sim) listRepositories(c call, match func(*repository) bool) ([]object, map[string]string) {
	var all []*repository
	for _, r := range s.repos {
		if match(r) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *repository) int {
		if c.URL.Query().Get("sort") == "pushed" {
			return cmp.Or(b.pushed.Compare(a.pushed), cmp.Compare(a.id, b.id))
		}
		return cmp.Compare(a.id, b.id)
	})
	part, links := page(c, all)
	shapes := []object{}
	for _, r := range part {
		shapes = append(shapes, r.shape(c.web))
	}
	return shapes, links
}
