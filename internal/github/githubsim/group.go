package githubsim

import (
	"net/http"
	"slices"
	"strings"
)

// A group is a runner group of an organisation or the enterprise. Group 1, the
// default one, is everywhere.
type group struct {
	id         int64
	name       string
	visibility string         // "all", "selected" or "private"
	selected   map[int64]bool // repositories, of a selected one
	public     bool           // public repositories may use it
}

const defaultGroup = "Default"

// errHosted says that nobody may add a runner to GitHub's own group.
const errHosted = "Runners cannot be added to the group of GitHub-hosted runners"

// group returns the group with id in sc, or nil.
func (s *Sim) group(sc scope, id int64) *group {
	for _, g := range s.groupsOf(sc) {
		if g.id == id {
			return g
		}
	}
	return nil
}

// groupsOf gives the groups of sc, the default one first.
func (s *Sim) groupsOf(sc scope) []*group {
	if len(s.groups[sc]) == 0 {
		s.groups[sc] = []*group{{id: 1, name: defaultGroup, visibility: "all", public: true}}
	}
	return s.groups[sc]
}

// serves reports whether repo may use the runners of g.
// https://docs.github.com/en/actions/how-tos/manage-runners/self-hosted-runners/manage-access
func (g *group) serves(repo *repository) bool {
	if !repo.private && !g.public {
		return false
	}
	switch g.visibility {
	case "selected":
		return g.selected[repo.id]
	case "private":
		return repo.private
	}
	return true
}

// inGroup reports whether runners of r's group may run j, which may ask for a group
// by its name, with organization/ or enterprise/ before it.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#choosing-runners-in-a-group
func (s *Sim) inGroup(r *runner, j *job) bool {
	if r.scope.repo == nil {
		if g := s.group(r.scope, r.GroupID); g == nil || !g.serves(j.run.repo) {
			return false
		}
	}
	kind, name, prefixed := strings.Cut(j.Group, "/")
	switch {
	case j.Group == "":
		return true
	case !prefixed:
		name = j.Group
	case (kind == "org" || kind == "organization") != (r.scope.owner != nil):
		return false
	}
	return strings.EqualFold(name, r.Group)
}

func (s *Sim) groupRoutes() {
	for _, base := range scopes {
		s.asRunner("GET "+base+"/actions/runner-groups", s.listGroups)
	}
	base := "/orgs/{org}/actions/runner-groups"
	one := base + "/{group}"
	s.asScope("POST "+base, s.createGroup)
	s.asScope("GET "+one, s.withGroup(func(c call, g *group) reply { return ok(s.groupShape(c, g)) }))
	s.asScope("PATCH "+one, s.withGroup(s.changeGroup))
	s.asScope("DELETE "+one, s.withGroup(s.deleteGroup))
	s.asScope("GET "+one+"/repositories", s.withGroup(s.listGroupRepositories))
	s.asScope("PUT "+one+"/repositories", s.withGroup(s.setGroupRepositories))
	s.asScope("PUT "+one+"/repositories/{repository}", s.withGroup(s.selectRepository(true)))
	s.asScope("DELETE "+one+"/repositories/{repository}", s.withGroup(s.selectRepository(false)))
	s.asScope("GET "+one+"/runners", s.withGroup(s.listGroupRunners))
	s.asScope("PUT "+one+"/runners", s.withGroup(s.setGroupRunners))
	s.asScope("PUT "+one+"/runners/{id}", s.withGroup(func(c call, g *group) reply { return s.moveRunner(c, g) }))
	s.asScope("DELETE "+one+"/runners/{id}", s.withGroup(func(c call, _ *group) reply { return s.moveRunner(c, s.group(c.scope, 1)) }))
}

// withGroup finds the group that the path names.
func (s *Sim) withGroup(h func(call, *group) reply) handler {
	return func(c call) reply {
		g := s.group(c.scope, c.id("group"))
		if g == nil {
			return notFound()
		}
		return h(c, g)
	}
}

func (s *Sim) listGroups(c call) reply {
	shapes := []object{}
	for _, g := range s.groupsOf(c.scope) {
		shapes = append(shapes, s.groupShape(c, g))
	}
	part, links := page(c, shapes)
	return reply{http.StatusOK, object{"total_count": len(shapes), "runner_groups": part}, links}
}

func (s *Sim) groupShape(c call, g *group) object {
	base := c.api() + "/" + c.scope.path(s.cfg.Enterprise) + "/actions/runner-groups/" + itoa(g.id)
	out := object{
		"id": g.id, "name": g.name, "visibility": g.visibility, "default": g.id == 1, "runners_url": base + "/runners", "inherited": false,
		"allows_public_repositories": g.public, "restricted_to_workflows": false, "selected_workflows": []string{},
		"workflow_restrictions_read_only": false,
	}
	if g.visibility == "selected" {
		out["selected_repositories_url"] = base + "/repositories"
	}
	return out
}

// A groupInput is the body of calls that make or change a group; nil is not given.
type groupInput struct {
	Name         string  `json:"name"`
	Visibility   string  `json:"visibility"`
	Public       *bool   `json:"allows_public_repositories"`
	Repositories []int64 `json:"selected_repository_ids"`
	Runners      []int64 `json:"runners"`
}

// into applies the given settings to g, and returns an error that GitHub would return.
func (in groupInput) into(g *group) string {
	setDefault(&in.Name, g.name)
	setDefault(&in.Visibility, g.visibility)
	switch {
	case in.Name == "":
		return "name: is required"
	case !slices.Contains([]string{"all", "selected", "private"}, in.Visibility):
		return "visibility: want all, selected or private"
	}
	g.name, g.visibility = in.Name, in.Visibility
	if in.Public != nil {
		g.public = *in.Public
	}
	if in.Repositories != nil {
		g.selected = map[int64]bool{}
		for _, id := range in.Repositories {
			g.selected[id] = true
		}
	}
	return ""
}

// createGroup makes a group. Unless the body says otherwise, public repositories may
// not use it.
// https://docs.github.com/en/rest/actions/self-hosted-runner-groups#create-a-self-hosted-runner-group-for-an-organization
func (s *Sim) createGroup(c call) reply {
	var in groupInput
	if !c.decode(&in) {
		return badJSON()
	}
	g := &group{visibility: "all", selected: map[int64]bool{}}
	if why := in.into(g); why != "" {
		return unprocessable("Invalid request", why)
	}
	for _, other := range s.groupsOf(c.scope) {
		if strings.EqualFold(other.name, g.name) {
			return refusal(http.StatusConflict, "Already exists - Runner group with name "+g.name+" already exists")
		}
	}
	g.id = s.nextID()
	s.groups[c.scope] = append(s.groups[c.scope], g)
	s.assign(c.scope, g, in.Runners)
	return created(s.groupShape(c, g))
}

func (s *Sim) changeGroup(c call, g *group) reply {
	var in groupInput
	if !c.decode(&in) {
		return badJSON()
	}
	if why := in.into(g); why != "" {
		return unprocessable("Invalid request", why)
	}
	for _, r := range s.runners {
		if r.scope == c.scope && r.GroupID == g.id {
			r.Group = g.name
			r.nudge() // there may be a job that fits now
		}
	}
	return ok(s.groupShape(c, g))
}

// deleteGroup moves the group's runners to the default one.
func (s *Sim) deleteGroup(c call, g *group) reply {
	if g.id == 1 {
		return unprocessable("The default runner group cannot be deleted")
	}
	for _, r := range s.runners {
		if r.scope == c.scope && r.GroupID == g.id {
			s.assign(c.scope, s.group(c.scope, 1), []int64{r.ID})
		}
	}
	s.groups[c.scope] = slices.DeleteFunc(s.groups[c.scope], func(other *group) bool { return other == g })
	return noContent()
}

func (s *Sim) listGroupRepositories(c call, g *group) reply {
	shapes := []object{}
	for _, name := range sortedKeys(s.repos) {
		if repo := s.repos[name]; g.selected[repo.id] {
			shapes = append(shapes, repo.minimal(c.web))
		}
	}
	part, links := page(c, shapes)
	return reply{http.StatusOK, object{"total_count": len(shapes), "repositories": part}, links}
}

func (s *Sim) setGroupRepositories(c call, g *group) reply {
	var in groupInput
	if !c.decode(&in) || in.Repositories == nil {
		return badJSON()
	}
	in.into(g)
	s.nudgeAll()
	return noContent()
}

// selectRepository adds a repository to a group, or removes it.
func (s *Sim) selectRepository(in bool) func(call, *group) reply {
	return func(c call, g *group) reply {
		g.selected = setOf(g.selected, c.id("repository"), in)
		s.nudgeAll()
		return noContent()
	}
}

func setOf(set map[int64]bool, id int64, in bool) map[int64]bool {
	if set == nil {
		set = map[int64]bool{}
	}
	if in {
		set[id] = true
	} else {
		delete(set, id)
	}
	return set
}

// nudgeAll has every runner look for a job that fits it now.
func (s *Sim) nudgeAll() {
	for _, r := range s.runners {
		r.nudge()
	}
}

func (s *Sim) listGroupRunners(c call, g *group) reply {
	var found []*runner
	for _, r := range s.runners {
		if r.scope == c.scope && r.GroupID == g.id {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *runner) int { return int(a.ID - b.ID) })
	part, links := page(c, found)
	shapes := []object{}
	for _, r := range part {
		shapes = append(shapes, r.shape())
	}
	return reply{http.StatusOK, object{"total_count": len(found), "runners": shapes}, links}
}

func (s *Sim) setGroupRunners(c call, g *group) reply {
	var in groupInput
	if !c.decode(&in) || in.Runners == nil {
		return badJSON()
	}
	for _, r := range s.runners {
		if r.scope == c.scope && r.GroupID == g.id && !slices.Contains(in.Runners, r.ID) {
			s.assign(c.scope, s.group(c.scope, 1), []int64{r.ID})
		}
	}
	s.assign(c.scope, g, in.Runners)
	return noContent()
}

func (s *Sim) moveRunner(c call, g *group) reply {
	if r := s.runners[c.id("id")]; r == nil || r.scope != c.scope {
		return notFound()
	}
	s.assign(c.scope, g, []int64{c.id("id")})
	return noContent()
}

// assign puts runners of sc into g.
func (s *Sim) assign(sc scope, g *group, runners []int64) {
	for _, id := range runners {
		if r := s.runners[id]; r != nil && r.scope == sc {
			r.GroupID, r.Group = g.id, g.name
			r.nudge() // there may be a job that fits now
		}
	}
}
