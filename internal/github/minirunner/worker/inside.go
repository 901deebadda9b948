package worker

import (
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// execute makes the command that runs a program of the task: here, or in the job's container
// (StepHost.cs). Arguments that are paths are to be translated with [job.path] before.
func (t *task) execute(dir string, variables map[string]string, program string, arguments ...string) *exec.Cmd {
	j := t.frame.job
	c := j.container
	if c == nil {
		cmd := exec.Command(program, arguments...)
		cmd.Dir, cmd.Env = dir, t.hostEnv(variables)
		return cmd
	}
	all := []string{"exec", "-i", "--workdir", c.inside(dir)}
	docker := map[string]string{}
	for name, value := range j.config.Env {
		docker[name] = value
	}
	for _, name := range sortedKeys(variables) { // docker takes the value from its own environment
		all = append(all, "-e", name)
		docker[name] = c.inside(variables[name])
	}
	if len(j.path) > 0 {
		all = append(all, "-e", "PATH="+strings.Trim(strings.Join(j.path, ":")+":"+c.path, ":"))
	}
	path, _ := j.which("docker") // the container was made with it
	cmd := exec.Command(path, append(append(all, c.id, program), arguments...)...)
	cmd.Dir, cmd.Env = j.config.Work, list(docker)
	return cmd
}

// inside is a path as the task's programs see it.
func (j *job) inside(path string) string {
	if j.container == nil {
		return path
	}
	return j.container.inside(path)
}

// nodeInside finds the program that runs JavaScript in the job's container: Alpine needs another one.
func (t *task) nodeInside(using string) (string, error) {
	j := t.frame.job
	host, err := j.node(using)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(host, j.externals()) {
		return "", wire.Said("File not found: '%s'", filepath.Join(j.externals(), using, "bin", "node"))
	}
	d, err := j.docker(t.step)
	if err != nil {
		return "", err
	}
	release, _ := d.ask("exec", j.container.id, "sh", "-c", "cat /etc/*release | grep ^ID")
	if strings.Contains(strings.ToLower(strings.Join(release, "\n")), "alpine") {
		version := filepath.Base(filepath.Dir(filepath.Dir(host)))
		host = filepath.Join(j.externals(), version+"_alpine", "bin", "node")
	}
	return j.inside(host), nil
}
