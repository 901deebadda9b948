package worker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os/exec"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// A docker runs docker's command line, which it logs as GitHub's runner does
// (DockerCommandManager.cs).
type docker struct {
	step *step
	path string
}

// docker finds docker's command line.
func (j *job) docker(s *step) (docker, error) {
	path, err := j.which("docker")
	return docker{s, path}, err
}

// label is on everything that this runner makes, to be found again.
func (j *job) label() string {
	sum := sha256.Sum256([]byte(j.config.Root))
	return hex.EncodeToString(sum[:3])
}

// command makes a command, in the work folder, and logs it.
func (d docker) command(arguments ...string) *exec.Cmd {
	d.step.log("##[command]" + d.path + " " + display(arguments))
	cmd := exec.Command(d.path, arguments...)
	cmd.Dir, cmd.Env = d.step.job.config.Work, d.step.job.plainEnv()
	return cmd
}

// display shows arguments in quotes where a person had to quote them.
func display(arguments []string) string {
	var all []string
	for _, a := range arguments {
		if a == "" || strings.ContainsAny(a, ` "`) {
			a = `"` + strings.ReplaceAll(a, `"`, `\"`) + `"`
		}
		all = append(all, a)
	}
	return strings.Join(all, " ")
}

// run runs a command, logs what it prints and returns its exit code.
func (d docker) run(arguments ...string) (int, error) {
	cmd := d.command(arguments...)
	out := &lineWriter{each: func(line string) { d.step.log(line) }}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.flush()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitCode(exit), nil
	}
	return 0, err
}

// ask is run for what the command prints. Another exit code than 0 is an error.
func (d docker) ask(arguments ...string) ([]string, error) {
	cmd := d.command(arguments...)
	var printed, complained bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &complained
	err := cmd.Run()
	for _, text := range []string{printed.String(), complained.String()} {
		if text = strings.TrimSpace(text); text != "" {
			d.step.log(text)
		}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, wire.Said("Exit code %d returned from process: file name '%s', arguments '%s'.", exitCode(exit), d.path, display(arguments))
	} else if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(printed.String(), func(r rune) bool { return r == '\n' || r == '\r' }), nil
}

// attempt is run for what need not succeed; problem is the warning when it does not, with a
// verb for the exit code.
func (d docker) attempt(problem string, arguments ...string) error {
	code, err := d.run(arguments...)
	if err == nil && code != 0 {
		d.step.warn(wire.Said(problem, code).Error())
	}
	return err
}

// must is run for commands that have to succeed; problem is as for attempt.
func (d docker) must(problem string, arguments ...string) error {
	code, err := d.run(arguments...)
	if err == nil && code != 0 {
		return wire.Said(problem, code)
	}
	return err
}
