package worker

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// A shell is how a script is run: its command, where {0} stands for the file, and
// the end of the file's name.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
type shell struct{ arguments, extension string }

// shells are those with default arguments (ScriptHandlerHelpers.cs).
var shells = map[string]shell{
	"bash":       {"--noprofile --norc -e -o pipefail {0}", ".sh"},
	"sh":         {"-e {0}", ".sh"},
	"python":     {"{0}", ".py"},
	"pwsh":       {`-command ". '{0}'"`, ".ps1"},
	"powershell": {`-command ". '{0}'"`, ".ps1"},
}

// A script is what a run step runs.
type script struct{ text, shell, dir string }

// script is what the task runs, with the job's defaults for what it does not say.
func (t *task) script() (script, error) {
	inputs, err := t.message.Inputs.texts(t.scope())
	if err != nil {
		return script{}, err
	}
	defaults := t.frame.job.defaults
	if t.frame.owner != nil { // they are the workflow's, not an action's
		defaults = nil
	}
	return script{
		text:  inputs["script"],
		shell: cmp.Or(inputs["shell"], defaults["shell"]),
		dir:   cmp.Or(inputs["workingDirectory"], defaults["working-directory"]),
	}, nil
}

// shellName is what reports call the step's shell.
func (t *task) shellName() string {
	s, err := t.script()
	if err != nil || s.shell == "" {
		return "sh"
	}
	return strings.Fields(s.shell)[0]
}

// runScript writes the script to a file, runs it and reads the files it wrote.
func (t *task) runScript(alive context.Context) error {
	script, err := t.script()
	if err != nil {
		return err
	}
	file := filepath.Join(t.frame.job.temp, newID())
	command, display, err := t.command(script.shell, file)
	t.logScript(script.text, display)
	if err != nil {
		return err
	}
	if err := os.WriteFile(command.file, []byte(script.text), 0o755); err != nil {
		return err
	}
	files, err := t.files()
	if err != nil {
		return err
	}
	cmd := t.execute(t.directory(script.dir), t.variables(files), command.program, command.arguments...)
	running := t.step.run(alive, cmd, t.output)
	return errors.Join(running, t.readFiles(files))
}

// directory is where a script runs: within the workspace, unless it is absolute.
func (t *task) directory(dir string) string {
	if filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(t.frame.job.workspace, dir)
}

// A commandLine runs a script that is in file.
type commandLine struct {
	program   string
	arguments []string
	file      string
}

// command finds how to run file, and how the log shows it.
func (t *task) command(name, file string) (commandLine, string, error) {
	j := t.frame.job
	program, arguments, own := strings.Cut(strings.TrimSpace(name), " ")
	known := shells[program]
	if program == "" {
		program, known = "bash", shell{"-e {0}", ".sh"}
		if _, err := j.which(program); err != nil || j.container != nil {
			program = "sh"
		}
	}
	if !own {
		arguments = known.arguments
	}
	if !strings.Contains(arguments, "{0}") {
		return commandLine{}, "", wire.Said("Invalid shell option. Shell must be a valid built-in (bash, sh, cmd, powershell, pwsh) " +
			"or a format string containing '{0}'")
	}
	path, err := program, error(nil)
	if j.container == nil { // what is in the container only docker can find
		path, err = j.which(program)
	}
	if err != nil {
		return commandLine{}, "", err
	}
	file += known.extension
	return commandLine{path, splitArguments(strings.ReplaceAll(arguments, "{0}", j.inside(file))), file}, path + " " + arguments, nil
}

// splitArguments splits a command line at blanks that are not quoted.
func splitArguments(line string) []string {
	var all []string
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				all = append(all, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if begun {
		all = append(all, word.String())
	}
	return all
}

// logScript logs the script that runs, as ScriptHandler.cs does.
func (t *task) logScript(text, shell string) {
	t.step.log("##[group]Run " + firstLine(text))
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		t.step.log("\x1b[36;1m" + line + "\x1b[0m")
	}
	if shell != "" {
		t.step.log("shell: " + shell)
	}
	t.logEnv()
	t.step.log("##[endgroup]")
}

func (t *task) logEnv() {
	if len(t.env) > 0 {
		t.step.log("env:")
	}
	for _, name := range sortedKeys(t.env) {
		t.step.log("  " + name + ": " + t.env[name])
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
