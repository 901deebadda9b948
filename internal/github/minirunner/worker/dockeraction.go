package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// isDockerfile reports whether an action's image is to be built (ContainerActionHandler.cs).
func isDockerfile(image string) bool {
	return strings.HasSuffix(image, "Dockerfile") || strings.HasSuffix(image, "dockerfile")
}

// A containerSetup gets the image of Docker actions before the job's steps, as a step
// (ActionManager.cs, ContainerSetupSteps).
type containerSetup struct {
	title string
	image string  // to pull; "" when it is built
	tasks []*task // that use it
}

// containerSetups are those of the job's actions, in the order of their steps, each image once.
func (j *job) containerSetups() []*containerSetup {
	var all []*containerSetup
	seen := map[string]*containerSetup{}
	var collect func(tasks []*task)
	collect = func(tasks []*task) {
		for _, t := range tasks {
			if title, image, key := t.wantsImage(); key != "" {
				if seen[key] == nil {
					seen[key] = &containerSetup{title: title, image: image}
					all = append(all, seen[key])
				}
				seen[key].tasks = append(seen[key].tasks, t)
			}
			collect(t.children)
		}
	}
	collect(j.tasks)
	return all
}

// wantsImage says what image the task needs before the job's steps; key is "" when none.
func (t *task) wantsImage() (title, image, key string) {
	ref := t.message.Reference
	switch {
	case ref.Type == typeContainer:
		return "Pull " + ref.Image, ref.Image, ref.Image
	case t.action == nil || t.action.runs.using != "docker" || ref.local():
		return "", "", ""
	case isDockerfile(t.action.runs.image):
		return "Build " + ref.full(), "", filepath.Join(t.action.dir, t.action.runs.image)
	}
	image = strings.TrimPrefix(t.action.runs.image, "docker://")
	return "Pull " + image, image, image
}

// setUpImage pulls or builds the image of a setup, and tells its tasks of it.
func (j *job) setUpImage(ctx context.Context, s *step, setup *containerSetup) error {
	d, err := j.docker(s)
	if err != nil {
		return err
	}
	image := setup.image
	if image != "" {
		err = s.grouped(fmt.Sprintf("Pull down action image '%s'", image), func() error { return d.pull(ctx, image, "") })
	} else {
		a := setup.tasks[0].action
		file := filepath.Join(a.dir, a.runs.image)
		err = s.grouped(fmt.Sprintf("Build container for action use: '%s'.", file), func() (err error) {
			image, err = d.build(file)
			return err
		})
	}
	for _, t := range setup.tasks {
		t.image = image
	}
	return err
}

// build builds the image of an action, whose folder is what the build sees.
func (d docker) build(file string) (image string, err error) {
	if _, err := os.Stat(file); err != nil {
		return "", wire.Said("File not found: '%s'", file)
	}
	image = d.step.job.label() + ":" + plainID()
	return image, d.must("Docker build failed with exit code %d", "build", "-t", image, "-f", file, filepath.Dir(file))
}

// runDocker runs a stage of a Docker action (ContainerActionHandler.cs).
func (t *task) runDocker(alive context.Context, stage stage) error {
	inputs, err := t.inputs()
	if err != nil {
		return err
	}
	if stage == post {
		t.step.log("Post job cleanup.")
	} else {
		t.logAction(inputs)
	}
	d, err := t.frame.job.docker(t.step)
	if err != nil {
		return err
	}
	if t.image == "" { // an action in the workspace
		if err := t.getImage(alive, d); err != nil {
			return err
		}
	}
	files, err := t.files()
	if err != nil {
		return err
	}
	c, err := t.actionContainer(stage, inputs, files)
	if err != nil {
		return err
	}
	running := t.step.run(alive, d.actionCommand(c), t.output)
	if v := wire.Words(""); errors.As(running, &v) && running != operationCanceled && alive.Err() == nil {
		running = errTold // the action has said why, if it wanted to
	}
	return errors.Join(running, t.readFiles(files))
}

func (t *task) getImage(ctx context.Context, d docker) (err error) {
	if name := t.action.runs.image; !isDockerfile(name) {
		t.image = strings.TrimPrefix(name, "docker://")
		return d.pull(ctx, t.image, "")
	}
	file := filepath.Join(t.action.dir, t.action.runs.image)
	return t.step.grouped("Building docker image", func() error {
		t.step.log("Dockerfile for action: '" + file + "'.")
		t.image, err = d.build(file)
		return err
	})
}

// actionContainer is the container that a stage of the action runs in.
func (t *task) actionContainer(stage stage, inputs, files map[string]string) (*container, error) {
	j := t.frame.job
	home := filepath.Join(j.temp, "_github_home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	c := &container{
		image: t.image, name: fmt.Sprintf("%s_%s", sanitize(t.image), plainID()[:6]), env: map[string]string{}, workdir: "/github/workspace",
	}
	if own, ok := j.containerContext["container"].(map[string]any); ok {
		c.network = expr.Text(own["network"])
	}
	c.mount(dockerSocket, dockerSocket, false)
	for _, m := range []pathMapping{
		{home, "/github/home"}, {filepath.Join(j.temp, "_github_workflow"), "/github/workflow"},
		{filepath.Join(j.temp, "_runner_file_commands"), "/github/file_commands"}, {j.workspace, "/github/workspace"},
	} {
		c.mount(m.host, m.inside, false)
		c.mapTo(m.host, m.inside)
	}
	runs := t.action.runs
	c.entrypoint = [...]string{runs.pre, runs.entrypoint, runs.post}[stage]
	if name, given := find(inputs, "entryPoint"); given && c.entrypoint == "" && stage == mainStage {
		c.entrypoint = inputs[name]
	}
	scope := t.scope()
	scope.Contexts["inputs"] = values(inputs)
	if err := t.actionArguments(c, scope, inputs); err != nil {
		return nil, err
	}
	own, err := runs.env.texts(scope)
	if err != nil {
		return nil, fmt.Errorf("env of the action: %w", err)
	}
	variables := t.variables(files)
	for _, v := range t.actionEnv(inputs) {
		name, value, _ := strings.Cut(v, "=")
		variables[name] = value
	}
	for name, value := range own {
		if _, said := t.env[name]; !said {
			variables[name] = value
		}
	}
	variables["HOME"] = home
	for name, value := range variables {
		c.env[name] = c.inside(value)
	}
	return c, nil
}

// actionArguments are those of action.yml, or else the input args.
func (t *task) actionArguments(c *container, scope expr.Scope, inputs map[string]string) error {
	if t.action.runs.args == nil {
		if name, given := find(inputs, "args"); given {
			c.arguments = splitArguments(inputs[name])
		}
		return nil
	}
	list, err := t.action.runs.args.eval(scope)
	if err != nil {
		return fmt.Errorf("args of the action: %w", err)
	}
	for _, a := range listOf(list) {
		c.arguments = append(c.arguments, expr.Text(a))
	}
	return nil
}

// actionCommand is docker run with c's variables in docker's environment, where no list of
// processes shows them (DockerCommandManager.cs, DockerRun).
func (d docker) actionCommand(c *container) *exec.Cmd {
	all := []string{"run", "--name", c.name, "--label", d.step.job.label(), "--workdir", c.workdir, "--rm"}
	for _, name := range sortedKeys(c.env) {
		all = append(all, "-e", name)
	}
	if c.network != "" {
		all = append(all, "--network", c.network)
	}
	cmd := d.command(append(all, c.rest()...)...)
	env := maps.Clone(d.step.job.config.Env)
	maps.Copy(env, c.env)
	cmd.Env = list(env)
	return cmd
}
