package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// maxDepth is how deep composite actions may use each other
// (Constants.CompositeActionsMaxDepth).
const maxDepth = 9

// manifests are the names of the file that describes an action, the first that is
// there counts.
var manifests = [...]string{"action.yml", "action.yaml"}

// prepare resolves, downloads and reads the actions that tasks use, and then those
// that these use (ActionManager.cs). Actions in the workspace have to wait until
// there is something in it.
func (j *job) prepare(ctx context.Context, s *step, tasks []*task, depth int) error {
	if depth > maxDepth {
		return wire.Said("Composite action depth exceeded max depth %d", maxDepth)
	}
	if err := j.fetch(ctx, s, tasks); err != nil {
		return err
	}
	for _, t := range tasks {
		if !t.message.Reference.remote() {
			continue
		}
		if err := t.read(filepath.Join(j.actionDir(t.message.Reference), filepath.FromSlash(t.message.Reference.Path))); err != nil {
			return err
		}
		if err := j.prepare(ctx, s, t.children, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// actionDir is where a repository of actions is unpacked.
func (j *job) actionDir(r reference) string {
	return filepath.Join(j.work("_actions"), filepath.FromSlash(r.Name), filepath.FromSlash(r.Ref))
}

// read reads the action in dir, with the steps that it has.
func (t *task) read(dir string) error {
	for _, name := range manifests {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return err
		}
		if t.action, err = parseManifest(text); err != nil {
			return wire.Said("Failed to load %s: %v", strings.TrimPrefix(filepath.Join(dir, name), t.frame.job.config.Work+"/"), err)
		}
		t.action.dir = dir
		t.unfold()
		return nil
	}
	for _, name := range []string{"Dockerfile", "dockerfile"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.action = &action{dir: dir, runs: runs{using: "docker", image: name}}
			return nil
		}
	}
	if t.message.Reference.local() {
		return wire.Said("Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '%s'. "+
			"Did you forget to run actions/checkout before running your local action?", dir)
	}
	return wire.Said("Can't find 'action.yml', 'action.yaml' or 'Dockerfile' for action '%s'.", t.message.Reference.full())
}

// unfold makes the tasks of a composite action.
func (t *task) unfold() {
	t.children = nil
	f := &frame{job: t.frame.job, owner: t, path: t.action.dir, steps: map[string]any{}}
	for _, m := range t.action.runs.steps {
		t.children = append(t.children, newTask(f, m))
	}
}

// load reads an action in the workspace, when its step comes.
func (t *task) load(ctx context.Context, stage stage) error {
	ref := t.message.Reference
	switch {
	case ref.Type == typeContainer:
		if t.action == nil { // it has no action.yml: all of its inputs are its own
			t.action = &action{runs: runs{using: "docker", image: ref.Image}}
		}
		return nil
	case t.action != nil && !ref.local() || stage != mainStage:
		return nil
	}
	if err := t.read(filepath.Join(t.frame.job.workspace, filepath.FromSlash(ref.Path))); err != nil {
		return err
	}
	if t.action.runs.pre != "" {
		t.step.warn(fmt.Sprintf("`pre` execution is not supported for local action from '%s'", ref.Path))
	}
	return t.frame.job.prepare(ctx, t.step, t.children, 1)
}

// wantsPre reports whether the action has a part that runs before all steps.
func (t *task) wantsPre() bool {
	if t.action == nil || t.message.Reference.local() {
		return false
	}
	for _, child := range t.children {
		if child.wantsPre() {
			return true
		}
	}
	return t.action.runs.pre != ""
}
