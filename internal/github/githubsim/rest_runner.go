package githubsim

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/jit"
)

// scopes are the paths that self-hosted runners are managed under.
var scopes = []string{"/repos/{owner}/{repo}", "/orgs/{org}", "/enterprises/{enterprise}"}

func (s *Sim) runnerRoutes() {
	for _, base := range scopes {
		actions := base + "/actions/"
		s.asScope("POST "+actions+"runners/generate-jitconfig", s.generateJIT)
		s.asScope("POST "+actions+"runners/registration-token", s.registrationToken)
		s.asScope("POST "+actions+"runners/remove-token", s.removeToken)
		s.asRunner("GET "+actions+"runners", s.listRunners)
		s.asScope("GET "+actions+"runners/{id}", s.withRunner(func(_ call, r *runner) reply { return ok(r.shape()) }))
		s.asRunner("DELETE "+actions+"runners/{id}", s.withRunner(s.deleteRunner))
		s.asScope("GET "+actions+"runners/downloads", s.downloads)
		s.asScope("GET "+actions+"runners/{id}/{part}", s.runnerPart)
		s.asScope("POST "+actions+"runners/{id}/labels", s.withRunner(addLabels))
		s.asScope("PUT "+actions+"runners/{id}/labels", s.withRunner(setLabels))
		s.asScope("DELETE "+actions+"runners/{id}/labels", s.withRunner(clearLabels))
		s.asScope("DELETE "+actions+"runners/{id}/labels/{name}", s.withRunner(removeLabel))
		s.asRunner("GET "+actions+"runner-groups", s.listGroups)
	}
	s.asScope("POST /orgs/{org}/actions/runner-groups", s.createGroup)
}

// withRunner finds the runner that the path names.
func (s *Sim) withRunner(h func(call, *runner) reply) handler {
	return func(c call) reply {
		r := s.runners[c.id("id")]
		if r == nil || r.scope != c.scope {
			return notFound()
		}
		return h(c, r)
	}
}

// https://docs.github.com/en/rest/actions/self-hosted-runners#create-configuration-for-a-just-in-time-runner-for-a-repository
func (s *Sim) generateJIT(c call) reply {
	in := struct {
		Name       string   `json:"name"`
		Group      int64    `json:"runner_group_id"`
		Labels     []string `json:"labels"`
		WorkFolder string   `json:"work_folder"`
	}{WorkFolder: "_work"}
	if !c.decode(&in) {
		return badJSON()
	}
	group, found := s.group(c.scope, in.Group)
	switch {
	case in.Name == "" || len(in.Name) > 64:
		return unprocessable("Invalid request", "name: want 1 to 64 characters")
	case len(in.Labels) < 1 || len(in.Labels) > 100:
		return unprocessable("Invalid request", "labels: want 1 to 100")
	case in.Group == 0:
		return unprocessable("Invalid request", "runner_group_id: is required")
	case !found:
		return notFound()
	}
	key, err := s.cfg.Keys.Key()
	if err != nil {
		return refusal(http.StatusInternalServerError, err.Error())
	}
	r := &runner{
		Runner: Runner{Name: in.Name, Labels: in.Labels, GroupID: in.Group, Group: group, Ephemeral: true, JIT: true, OS: "unknown"},
		scope:  c.scope, key: &key.PublicKey,
	}
	if err := s.register(r); err != nil {
		return refusal(http.StatusConflict, "Already exists - A runner with the name *** already exists.")
	}
	config := jit.Config{
		RunnerID: r.ID, Name: r.Name, Group: r.Group, GroupID: r.GroupID, WorkFolder: in.WorkFolder, ClientID: r.clientID,
		GitHubURL: c.web + "/" + strings.TrimPrefix(strings.TrimPrefix(r.Scope, "repos/"), "orgs/"),
		ServerURL: c.web + pathTenant, BrokerURL: c.web + pathBroker + "/", AuthURL: c.web + pathToken, Key: key,
	}
	return created(object{"runner": r.shape(), "encoded_jit_config": config.Encode()})
}

func (s *Sim) listRunners(c call) reply {
	var found []*runner
	name := c.URL.Query().Get("name")
	for _, r := range s.runners {
		if r.scope == c.scope && (name == "" || strings.EqualFold(r.Name, name)) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *runner) int { return cmp.Compare(a.ID, b.ID) })
	part, links := page(c, found)
	shapes := []object{}
	for _, r := range part {
		shapes = append(shapes, r.shape())
	}
	return reply{http.StatusOK, object{"total_count": len(found), "runners": shapes}, links}
}

func (s *Sim) deleteRunner(_ call, r *runner) reply {
	if r.Busy {
		return unprocessable("Runner \"" + r.Name + "\" is currently running a job and cannot be deleted.")
	}
	s.remove(r)
	return noContent()
}

// A registration is what a registration or remove token allows, for an hour.
type registration struct {
	scope   scope
	expires time.Time
	remove  bool // to remove runners, not to register them
}

func (s *Sim) registrationToken(c call) reply { return s.issueRegistration(c.scope, false) }
func (s *Sim) removeToken(c call) reply       { return s.issueRegistration(c.scope, true) }

func (s *Sim) issueRegistration(sc scope, remove bool) reply {
	token, expires := newToken("A"), s.now().Add(time.Hour)
	s.regs[digestOf(token)] = registration{sc, expires, remove}
	return created(object{"token": token, "expires_at": timestamp(expires)})
}

// registration returns what the token of r allows. The caller holds mu.
func (s *Sim) registration(r *http.Request) (registration, bool) {
	reg, found := s.regs[digestOf(bearer(r))]
	return reg, found && s.now().Before(reg.expires)
}

// registrationCredential lets a registration or remove token see its own scope.
func (s *Sim) registrationCredential(r *http.Request) *credential {
	reg, found := s.registration(r)
	if !found {
		return nil
	}
	return &credential{only: &reg.scope}
}

func (s *Sim) listGroups(c call) reply {
	shapes := []object{s.groupShape(c, &group{id: 1, name: defaultGroup, visibility: "all", public: true})}
	for _, g := range s.groups[c.scope] {
		shapes = append(shapes, s.groupShape(c, g))
	}
	part, links := page(c, shapes)
	return reply{http.StatusOK, object{"total_count": len(shapes), "runner_groups": part}, links}
}

func (s *Sim) groupShape(c call, g *group) object {
	base := c.api() + "/" + c.scope.path(s.cfg.Enterprise) + "/actions/runner-groups"
	return object{
		"id": g.id, "name": g.name, "visibility": g.visibility, "default": g.id == 1,
		"runners_url": base + "/runners", "inherited": false, "allows_public_repositories": g.public,
	}
}

func (s *Sim) createGroup(c call) reply {
	in := struct {
		Name       string `json:"name"`
		Visibility string `json:"visibility"`
		Public     bool   `json:"allows_public_repositories"`
	}{Visibility: "all"}
	if !c.decode(&in) {
		return badJSON()
	}
	if in.Name == "" {
		return unprocessable("Invalid request", "name: is required")
	}
	g := &group{id: s.nextID(), name: in.Name, visibility: in.Visibility, public: in.Public}
	s.groups[c.scope] = append(s.groups[c.scope], g)
	return created(s.groupShape(c, g))
}

func (s *Sim) downloads(c call) reply {
	r := s.latest()
	const platform = "linux-x64"
	return ok([]object{{
		"os": "linux", "architecture": "x64", "filename": r.file(platform), "sha256_checksum": r.SHA256[platform],
		"download_url": c.web + r.path(platform),
	}})
}

// runnerPart answers two paths that a ServeMux cannot tell apart:
// runners/{id}/labels, and runners/deprecations/{version}.
func (s *Sim) runnerPart(c call) reply {
	part := c.PathValue("part")
	switch {
	case c.PathValue("id") == "deprecations":
		return s.deprecation(part)
	case part == "labels":
		return s.withRunner(listLabels)(c)
	}
	return notFound()
}

func listLabels(_ call, r *runner) reply {
	labels := r.shape()["labels"]
	return ok(object{"total_count": len(r.Labels), "labels": labels})
}

// labelsIn reads the labels that c brings.
func labelsIn(c call, limit int) ([]string, error) {
	var in struct {
		Labels []string `json:"labels"`
	}
	if !c.decode(&in) || in.Labels == nil || len(in.Labels) > limit {
		return nil, errors.New("labels: want a list of up to 100")
	}
	return in.Labels, nil
}

func addLabels(c call, r *runner) reply {
	labels, err := labelsIn(c, 100-len(r.Labels))
	if err != nil {
		return unprocessable("Invalid request", err.Error())
	}
	for _, l := range labels {
		if !slices.Contains(r.Labels, l) {
			r.Labels = append(slices.Clone(r.Labels), l)
		}
	}
	r.nudge() // there may be a job that fits now
	return listLabels(c, r)
}

func setLabels(c call, r *runner) reply {
	labels, err := labelsIn(c, 100)
	if err != nil {
		return unprocessable("Invalid request", err.Error())
	}
	r.Labels = labels
	r.nudge() // there may be a job that fits now
	return listLabels(c, r)
}

func clearLabels(c call, r *runner) reply {
	r.Labels = nil
	return listLabels(c, r)
}

func removeLabel(c call, r *runner) reply {
	name := c.PathValue("name")
	if !slices.Contains(r.Labels, name) {
		return notFound()
	}
	r.Labels = slices.DeleteFunc(slices.Clone(r.Labels), func(l string) bool { return l == name })
	return listLabels(c, r)
}
