package worker

import (
	"encoding/json"
	"path/filepath"
	"strings"
)

// A reference is what a step runs: a script, an action of a repository, or a
// container.
type reference struct {
	Type           string `json:"type"`
	Name           string `json:"name"` // owner/repository
	Ref            string `json:"ref"`
	Path           string `json:"path"`
	RepositoryType string `json:"repositoryType"` // GitHub, or self for an action in the workspace
	Image          string `json:"image"`
}

// UnmarshalJSON takes the type as a word or as the number of ActionSourceType.cs.
func (r *reference) UnmarshalJSON(b []byte) error {
	type plain reference
	var form struct {
		plain
		Type any `json:"type"`
	}
	if err := json.Unmarshal(b, &form); err != nil {
		return err
	}
	*r = reference(form.plain)
	switch v := form.Type.(type) {
	case string:
		r.Type = strings.ToLower(v)
	case float64:
		r.Type = map[float64]string{1: typeRepository, 2: typeContainer, 3: typeScript}[v]
	}
	return nil
}

// The types of references, in lower case.
const (
	typeRepository = "repository"
	typeContainer  = "containerregistry"
	typeScript     = "script"
)

func (r reference) script() bool { return r.Type == typeScript }

// local reports whether the action is in the workspace.
func (r reference) local() bool {
	return r.Type == typeRepository && strings.EqualFold(r.RepositoryType, "self")
}

// remote reports whether the action is to be downloaded.
func (r reference) remote() bool { return r.Type == typeRepository && !r.local() }

// key is how the launch service calls the action's repository.
func (r reference) key() string { return r.Name + "@" + r.Ref }

// String is the action without its version.
func (r reference) String() string {
	switch {
	case r.Type == typeContainer:
		return "docker://" + r.Image
	case r.local():
		return r.Path
	case r.Path != "":
		return r.Name + "/" + r.Path
	}
	return r.Name
}

// full is the action as a workflow names it.
func (r reference) full() string {
	if r.Ref == "" {
		return r.String()
	}
	return r.String() + "@" + r.Ref
}

// uses reads what a step of a composite action uses. What is not complete is left
// to fail where it is resolved.
func uses(text string) reference {
	if image, ok := strings.CutPrefix(text, "docker://"); ok {
		return reference{Type: typeContainer, Image: image}
	}
	if strings.HasPrefix(text, "./") || strings.HasPrefix(text, `.\`) {
		return reference{Type: typeRepository, RepositoryType: "self", Path: filepath.ToSlash(text)}
	}
	name, ref, _ := strings.Cut(text, "@")
	parts := strings.SplitN(name, "/", 3)
	r := reference{Type: typeRepository, RepositoryType: "GitHub", Name: name, Ref: ref}
	if len(parts) == 3 {
		r.Name, r.Path = parts[0]+"/"+parts[1], parts[2]
	}
	return r
}
