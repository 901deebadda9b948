package githubsim

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// Rename gives a repository another full name: of the same owner, or, as a transfer,
// of another. Its id stays, and deliveries from now on carry the new name.
func (s *Sim) Rename(repository, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repository(repository)
	owner, short, found := strings.Cut(name, "/")
	switch {
	case repo == nil:
		return fmt.Errorf("repository %q: there is none of that name", repository)
	case !found || owner == "" || short == "":
		return fmt.Errorf("repository %q: want owner/name", name)
	case s.repository(name) != nil && s.repository(name) != repo:
		return fmt.Errorf("repository %q exists", name)
	}
	s.rename(repo, owner, short)
	return nil
}

// rename moves repo. The caller holds mu, and has checked that the name is free.
func (s *Sim) rename(repo *repository, owner, name string) {
	old, oldOwner, oldName := repo.fullName(), repo.owner, repo.name
	delete(s.repos, strings.ToLower(old))
	s.moves[strings.ToLower(old)] = repo
	repo.owner, repo.name = s.account(owner), name
	s.repos[strings.ToLower(repo.fullName())] = repo
	delete(s.moves, strings.ToLower(repo.fullName()))
	for _, r := range s.runs {
		if r.repo == repo {
			r.Repository = repo.fullName()
		}
	}
	for _, j := range s.jobs {
		if j.run.repo == repo {
			j.Repository = repo.fullName()
		}
	}
	for _, r := range s.runners {
		if r.scope.repo == repo {
			r.Scope = r.scope.path(s.cfg.Enterprise)
		}
	}
	s.announceMove(repo, oldOwner, oldName)
}

// announceMove delivers the event repository to the webhooks that now cover repo.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#repository
func (s *Sim) announceMove(repo *repository, owner *account, name string) {
	web := s.publicURL()
	if owner != repo.owner {
		kind := "organization"
		if owner.user {
			kind = "user"
		}
		payload := s.payload(web, repo, "transferred")
		payload["changes"] = object{"owner": object{"from": object{kind: owner.shape(web)}}}
		s.publish(repo, "repository", "transferred", payload)
	}
	if name != repo.name {
		payload := s.payload(web, repo, "renamed")
		payload["changes"] = object{"repository": object{"name": object{"from": name}}}
		s.publish(repo, "repository", "renamed", payload)
	}
}

// https://docs.github.com/en/rest/repos/repos#update-a-repository
func (s *Sim) changeRepository(c call) reply {
	var in struct {
		Name    string `json:"name"`
		Private *bool  `json:"private"`
	}
	if !c.decode(&in) {
		return badJSON()
	}
	repo := c.scope.repo
	if in.Name != "" && in.Name != repo.name {
		if other := s.repository(repo.owner.login + "/" + in.Name); other != nil && other != repo {
			return unprocessable("Validation Failed", "name already exists on this account")
		}
		s.rename(repo, repo.owner.login, in.Name)
	}
	if in.Private != nil {
		repo.private = *in.Private
	}
	return ok(repo.full(c.web))
}

// https://docs.github.com/en/rest/repos/repos#transfer-a-repository
func (s *Sim) transferRepository(c call) reply {
	var in struct {
		Owner string `json:"new_owner"`
		Name  string `json:"new_name"`
	}
	if !c.decode(&in) {
		return badJSON()
	}
	repo := c.scope.repo
	setDefault(&in.Name, repo.name)
	if other := s.repository(in.Owner + "/" + in.Name); in.Owner == "" || other != nil && other != repo {
		return unprocessable("Validation Failed", "new_owner: want one that has no repository of that name")
	}
	s.rename(repo, in.Owner, in.Name)
	return reply{code: http.StatusAccepted, body: repo.minimal(c.web)}
}

// full gives a repository as its own calls do.
func (r *repository) full(web string) object {
	out := r.shape(web)
	maps.Copy(out, object{"network_count": 0, "subscribers_count": 0})
	return out
}

// redirect answers what asks for a repository by a name that it had before. The
// address names it by its id, which stays.
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
func (s *Sim) redirect(c call) reply {
	repo := s.moves[strings.ToLower(c.PathValue("owner")+"/"+c.PathValue("repo"))]
	if repo == nil || !c.cred.sees(scope{repo: repo}) {
		return notFound()
	}
	code := http.StatusTemporaryRedirect
	if c.Method == http.MethodGet {
		code = http.StatusMovedPermanently
	}
	parts := strings.SplitN(strings.TrimPrefix(c.URL.Path, "/"), "/", 4)
	address := fmt.Sprintf("%s/repositories/%d", c.api(), repo.id)
	if len(parts) == 4 {
		address += "/" + parts[3]
	}
	if c.URL.RawQuery != "" {
		address += "?" + c.URL.RawQuery
	}
	body := object{"message": "Moved Permanently", "url": address, "documentation_url": "https://docs.github.com/rest"}
	return reply{code, body, map[string]string{"Location": address}}
}

// byID gives the path under /repos that one under /repositories stands for.
func (s *Sim) byID(path string) (string, bool) {
	id, rest, _ := strings.Cut(strings.TrimPrefix(path, "/repositories/"), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, repo := range s.repos {
		if itoa(repo.id) == id {
			return strings.TrimSuffix("/repos/"+repo.fullName()+"/"+rest, "/"), true
		}
	}
	return "", false
}
