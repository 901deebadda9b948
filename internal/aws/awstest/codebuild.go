package awstest

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// CodeBuild stands in for CodeBuild, whose builds moto ends as they start. A build
// here runs for as long as it is looked at twice, and ends as Run says. A project builds
// one at a time, as the template has it.
// https://docs.aws.amazon.com/codebuild/latest/userguide/builds-working.html
type CodeBuild struct {
	// Run is a build: what it is started with, and how it ends. It may push images and write
	// its log before it returns. Commit is "" for what the project is set to.
	Run func(project, commit string, env map[string]string) Built

	mu       sync.Mutex
	projects map[string]bool // guarded by mu
	builds   []*buildRun     // guarded by mu; the oldest first
}

// Built is how a build ended.
type Built struct {
	Fault         string // why it failed; "" when it succeeded
	Exported      map[string]string
	Group, Stream string // of its log, in moto; may be empty
}

type buildRun struct {
	id, project string
	env         map[string]string
	looks       int // still to come before it has ended
	end         Built
}

// looksPerBuild is how often a build is seen at work.
const looksPerBuild = 2

// Handler answers for the service.
func (c *CodeBuild) Handler() http.Handler {
	return operations{
		"StartBuild": exactly(c.start), "ListBuildsForProject": exactly(c.list), "BatchGetBuilds": exactly(c.get),
		"BatchGetProjects": exactly(c.getProjects),
	}
}

// SetProject makes a project, or removes it, as CloudFormation does.
func (c *CodeBuild) SetProject(name string, there bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.projects == nil {
		c.projects = map[string]bool{}
	}
	c.projects[name] = there
}

type projectsInput struct {
	Names []string `json:"names"`
}

func (c *CodeBuild) getProjects(in projectsInput) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, missing := []any{}, []string{}
	for _, name := range in.Names {
		if c.projects[name] {
			found = append(found, map[string]string{"name": name})
		} else {
			missing = append(missing, name)
		}
	}
	return map[string]any{"projects": found, "projectsNotFound": missing}, nil
}

// Started returns how many builds were started.
func (c *CodeBuild) Started() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.builds)
}

// Last returns the variables that the last build was started with.
func (c *CodeBuild) Last() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.builds[len(c.builds)-1].env
}

type variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Type  string `json:"type"`
}

type startInput struct {
	Project   string     `json:"projectName"`
	Commit    string     `json:"sourceVersion"`
	Variables []variable `json:"environmentVariablesOverride"`
}

func (c *CodeBuild) start(in startInput) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.builds, func(b *buildRun) bool { return b.project == in.Project && b.looks > 0 }) {
		return nil, refused{"AccountLimitExceededException", "the concurrent build limit of " + in.Project + " is 1"}
	}
	b := &buildRun{id: fmt.Sprintf("%s:%d", in.Project, len(c.builds)+1), project: in.Project, env: map[string]string{}, looks: looksPerBuild}
	for _, v := range in.Variables {
		if v.Name == "" || v.Type != "PLAINTEXT" {
			return nil, refused{"InvalidInputException", fmt.Sprintf("variable %+v", v)}
		}
		b.env[v.Name] = v.Value
	}
	b.end = c.Run(in.Project, in.Commit, b.env)
	c.builds = append(c.builds, b)
	return map[string]any{"build": b.wire()}, nil
}

type listInput struct {
	Project string `json:"projectName"`
	Order   string `json:"sortOrder"`
}

func (c *CodeBuild) list(in listInput) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := []string{}
	for _, b := range c.builds {
		if b.project == in.Project {
			ids = append(ids, b.id)
		}
	}
	if in.Order == "DESCENDING" {
		slices.Reverse(ids)
	}
	return map[string]any{"ids": ids}, nil
}

type getInput struct {
	IDs []string `json:"ids"`
}

func (c *CodeBuild) get(in getInput) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := []any{}
	for _, b := range c.builds {
		if slices.Contains(in.IDs, b.id) {
			b.looks--
			found = append(found, b.wire())
		}
	}
	return map[string]any{"builds": found, "buildsNotFound": []string{}}, nil
}

// wire is b as the service tells of it.
func (b *buildRun) wire() any {
	status, ended := "IN_PROGRESS", b.looks <= 0
	phases := []any{map[string]any{"phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED"}}
	exported := []variable{}
	if ended {
		status = "SUCCEEDED"
		for name, value := range b.end.Exported {
			exported = append(exported, variable{Name: name, Value: value})
		}
		if b.end.Fault != "" {
			status = "FAILED"
			phases = append(phases, map[string]any{"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": []any{map[string]string{"message": b.end.Fault}}})
		}
	}
	env := []variable{}
	for name, value := range b.env {
		env = append(env, variable{name, value, "PLAINTEXT"})
	}
	return map[string]any{
		"id": b.id, "projectName": b.project, "buildStatus": status, "buildComplete": ended, "startTime": float64(time.Now().Unix()),
		"environment": map[string]any{"environmentVariables": env}, "exportedEnvironmentVariables": exported, "phases": phases,
		"logs": map[string]string{"groupName": b.end.Group, "streamName": b.end.Stream, "deepLink": "https://console.aws.amazon.com/" + b.id},
	}
}
