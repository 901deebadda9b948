package githubsim

import (
	"net/http"
	"strings"
)

// variableRoutes are those of a repository's variables, the context vars.
// https://docs.github.com/en/rest/actions/variables
func (s *Sim) variableRoutes() {
	base := "/repos/{owner}/{repo}/actions/variables"
	s.asScope("GET "+base, listVariables)
	s.asScope("POST "+base, s.createVariable)
	s.asScope("GET "+base+"/{name}", withVariable(func(c call, name string) reply { return ok(variableShape(c, name)) }))
	s.asScope("PATCH "+base+"/{name}", withVariable(changeVariable))
	s.asScope("DELETE "+base+"/{name}", withVariable(func(c call, name string) reply {
		delete(c.scope.repo.variables, name)
		return noContent()
	}))
}

// withVariable finds the variable that the path names. Names ignore case.
func withVariable(h func(call, string) reply) handler {
	return func(c call) reply {
		name := strings.ToUpper(c.PathValue("name"))
		if _, found := c.scope.repo.variables[name]; !found {
			return notFound()
		}
		return h(c, name)
	}
}

func variableShape(c call, name string) object {
	repo := c.scope.repo
	return object{"name": name, "value": repo.variables[name], "created_at": timestamp(repo.created), "updated_at": timestamp(repo.created)}
}

func listVariables(c call) reply {
	shapes := []object{}
	for _, name := range sortedKeys(c.scope.repo.variables) {
		shapes = append(shapes, variableShape(c, name))
	}
	part, links := page(c, shapes)
	return reply{http.StatusOK, object{"total_count": len(shapes), "variables": part}, links}
}

type variableInput struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (s *Sim) createVariable(c call) reply {
	var in variableInput
	if !c.decode(&in) {
		return badJSON()
	}
	name := strings.ToUpper(in.Name)
	if _, exists := c.scope.repo.variables[name]; exists {
		return refusal(http.StatusConflict, "Already exists - Variable already exists")
	}
	if name == "" || strings.HasPrefix(name, "GITHUB_") {
		return unprocessable("Invalid request", "name: want one that does not begin with GITHUB_")
	}
	c.scope.repo.variables[name] = in.Value
	return created(object{})
}

func changeVariable(c call, name string) reply {
	var in variableInput
	if !c.decode(&in) {
		return badJSON()
	}
	c.scope.repo.variables[name] = in.Value
	return noContent()
}
