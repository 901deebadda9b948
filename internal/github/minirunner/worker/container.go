package worker

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// dockerSocket is where GitHub's runner takes the engine's socket to be, which it gives to job
// containers and Docker actions (ContainerInfo.cs).
const dockerSocket = "/var/run/docker.sock"

// A container is one that steps run in, or that serves them (ContainerInfo.cs).
type container struct {
	id         string
	name       string
	alias      string // of a service; "" of what steps run in
	network    string
	image      string
	options    string
	env        map[string]string
	ports      []string
	volumes    []volume
	workdir    string
	entrypoint string
	arguments  []string
	username   string
	password   string
	path       string        // the PATH of its image
	mapped     []pathMapping // of the host's paths to its own; the first that fits counts
}

type pathMapping struct{ host, inside string }

// A volume is a folder of a container.
type volume struct {
	source, target string // without a source it is anonymous
	readOnly       bool
}

// parseVolume reads source:target:ro, of which target alone has to be there.
func parseVolume(text string) volume {
	switch parts := strings.Split(text, ":"); {
	case len(parts) == 3:
		return volume{parts[0], parts[1], strings.EqualFold(parts[2], "ro")}
	case len(parts) == 2 && strings.EqualFold(parts[1], "ro"):
		return volume{"", parts[0], true}
	case len(parts) == 2:
		return volume{parts[0], parts[1], false}
	}
	return volume{"", text, false}
}

func (v volume) String() string {
	text := v.target
	if v.source != "" {
		text = v.source + ":" + v.target
	}
	if v.readOnly {
		text += ":ro"
	}
	return text
}

// inside translates a path of the host. A path that the container does not see stays unchanged.
func (c *container) inside(path string) string {
	for _, m := range c.mapped {
		if path == m.host || strings.HasPrefix(path, m.host+"/") {
			return m.inside + strings.TrimPrefix(path, m.host)
		}
	}
	return path
}

// mount shows a folder of the host at inside.
func (c *container) mount(host, inside string, readOnly bool) {
	c.volumes = append(c.volumes, volume{host, inside, readOnly})
}

// mapTo has paths below host translated, before those that are mapped already.
func (c *container) mapTo(host, inside string) {
	c.mapped = append([]pathMapping{{host, inside}}, c.mapped...)
}

// readContainers evaluates the workflow's settings of the job's container and services.
func (j *job) readContainers() error {
	own, err := j.message.Container.eval(j.top.scope())
	if err != nil {
		return fmt.Errorf("container: %w", err)
	}
	if c := j.newContainer(own, ""); c != nil {
		j.container = c
		j.containers = append(j.containers, c)
	}
	if j.message.Services == nil {
		return nil
	}
	for i := range j.message.Services.Map { // in their order
		one := &j.message.Services.Map[i]
		name, err := one.Key.text(j.top.scope())
		if err != nil {
			return fmt.Errorf("services: %w", err)
		}
		said, err := one.Value.eval(j.top.scope())
		if err != nil {
			return fmt.Errorf("services: %s: %w", name, err)
		}
		if c := j.newContainer(said, name); c != nil { // a service without an image is none
			j.containers = append(j.containers, c)
		}
	}
	return nil
}

// newContainer reads an evaluated container: nil when it has no image.
func (j *job) newContainer(said any, alias string) *container {
	fields, _ := said.(map[string]any)
	if image, ok := said.(string); ok {
		fields = map[string]any{"image": image}
	}
	c := &container{
		alias: alias, image: strings.TrimPrefix(expr.Text(fields["image"]), "docker://"), options: expr.Text(fields["options"]),
		env: map[string]string{}, entrypoint: expr.Text(fields["entrypoint"]), arguments: splitArguments(expr.Text(fields["command"])),
	}
	if c.image == "" {
		return nil
	}
	c.name = fmt.Sprintf("%s_%s_%s", plainID(), sanitize(c.image), plainID()[:6])
	c.mapped = []pathMapping{
		{j.config.Work, "/__w"}, {j.work("_tool"), "/__t"}, {j.externals(), "/__e"},
	}
	if alias == "" {
		c.mount(dockerSocket, dockerSocket, false)
	}
	for _, p := range listOf(fields["ports"]) {
		c.ports = append(c.ports, expr.Text(p))
	}
	for _, v := range listOf(fields["volumes"]) {
		c.volumes = append(c.volumes, parseVolume(expr.Text(v)))
	}
	env, _ := fields["env"].(map[string]any)
	for k, v := range env {
		c.env[k] = expr.Text(v)
	}
	credentials, _ := fields["credentials"].(map[string]any)
	c.username, c.password = expr.Text(credentials["username"]), expr.Text(credentials["password"])
	return c
}

func listOf(v any) []any {
	list, _ := v.([]any)
	return list
}

func (j *job) externals() string { return filepath.Join(j.config.Root, "externals") }

// plainID is a random id without dashes.
func plainID() string { return strings.ReplaceAll(newID(), "-", "") }

var notInName = regexp.MustCompile(`[^A-Za-z0-9]`)

// sanitize is what of an image can be in a name (NameValidation.cs).
func sanitize(image string) string { return notInName.ReplaceAllString(image, "") }

// prepareJobContainer mounts what steps need, and has the container wait for them
// (ContainerOperationProvider.cs, StartContainerAsync).
func (j *job) prepareJobContainer(c *container) error {
	home, workflow := filepath.Join(j.temp, "_github_home"), filepath.Join(j.temp, "_github_workflow")
	for _, dir := range []string{home, workflow, j.externals()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	c.mount(j.config.Work, "/__w", false)
	c.mount(j.externals(), "/__e", true)
	for _, dir := range []string{j.temp, j.work("_actions"), j.work("_tool")} {
		c.mount(dir, c.inside(dir), false)
	}
	c.mount(home, "/github/home", false)
	c.mapTo(home, "/github/home")
	c.env["HOME"] = "/github/home"
	c.mount(workflow, "/github/workflow", false)
	c.mapTo(workflow, "/github/workflow")
	c.workdir = c.inside(j.workspace)
	c.entrypoint, c.arguments = "tail", []string{"-f", "/dev/null"}
	return nil
}

// createArguments are those of docker create, in GitHub's order (DockerCommandManager.cs).
func (c *container) createArguments(label string) []string {
	all := []string{"create", "--name", c.name, "--label", label}
	for _, option := range []struct{ name, value string }{
		{"--workdir", c.workdir}, {"--network", c.network}, {"--network-alias", c.alias},
	} {
		if option.value != "" {
			all = append(all, option.name, option.value)
		}
	}
	for _, p := range c.ports {
		all = append(all, "-p", p)
	}
	all = append(all, splitArguments(c.options)...)
	for _, name := range sortedKeys(c.env) {
		all = append(all, "-e", assignment(name, c.env[name]))
	}
	return append(all, c.rest()...)
}

// rest is what docker create and docker run end with.
func (c *container) rest() []string {
	all := []string{"-e", "GITHUB_ACTIONS=true"}
	if _, said := c.env["CI"]; !said {
		all = append(all, "-e", "CI=true")
	}
	for _, v := range c.volumes {
		all = append(all, "-v", v.String())
	}
	if c.entrypoint != "" {
		all = append(all, "--entrypoint", c.entrypoint)
	}
	return append(append(all, c.image), c.arguments...)
}

// assignment is NAME=value; a variable without a value is taken from docker's environment.
func assignment(name, value string) string {
	if value == "" {
		return name
	}
	return name + "=" + value
}

// login has docker keep a registry's password in a folder, which it returns; "" without one.
func (d docker) login(c *container) (config string, err error) {
	if c.username == "" || c.password == "" {
		return "", nil
	}
	config = filepath.Join(d.step.job.temp, ".docker_"+newID())
	if err := os.Mkdir(config, 0o700); err != nil {
		return "", err
	}
	registry := registryOf(c.image)
	cmd := d.command("--config", config, "login", registry, "-u", c.username, "--password-stdin")
	cmd.Stdin = strings.NewReader(c.password)
	printed, err := cmd.CombinedOutput()
	d.step.log(strings.TrimSpace(string(printed)))
	if err != nil {
		return "", errors.Join(wire.Said("Docker login for '%s' failed with exit code %d", registry, cmd.ProcessState.ExitCode()), os.RemoveAll(config))
	}
	return config, nil
}

// registryOf is where an image comes from; "" is Docker Hub (DockerUtil.cs).
func registryOf(image string) string {
	host, _, more := strings.Cut(image, "/")
	if more && (strings.ContainsAny(host, ".:") || host == "localhost") {
		return host
	}
	return ""
}

// jobContext is the context of that name.
func (j *job) jobContext() map[string]any {
	out := map[string]any{"status": j.conclusion().status()}
	maps.Copy(out, j.containerContext)
	return out
}
