package agent

import (
	"fmt"
	"syscall"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// A program is the runner's: how it gets what the claim gave, what its lines say and what
// its exit codes mean.
type program interface {
	// prepare returns what is needed to start it with config. It may leave files, which
	// spent removes: that is called when the program has read them, and when it has ended.
	prepare(command, container []string, config string) (launch, error)

	// phase returns what phase a line of its output tells of; "" for none.
	phase(line string) string

	// meaning puts an exit code into words, of those up to 128.
	meaning(code int, ran bool) string
}

// A launch is how a program is started.
type launch struct {
	args, env []string
	spent     func()
}

// programs are those that a grant can name.
var programs = map[string]program{"": actionsRunner{}, "gitea": giteaRunner{}}

// programOf returns the one that g's configuration is for.
func programOf(g claim.Grant) (program, error) {
	p, ok := programs[g.Program]
	if !ok {
		return nil, fmt.Errorf("%w: this agent knows no program %q: it is older than mayfly", errStart, g.Program)
	}
	return p, nil
}

// actionsRunner is GitHub's runner, actions/runner.
type actionsRunner struct{}

func (actionsRunner) prepare(command, container []string, config string) (launch, error) {
	env := environment(container)
	// The names are of actions/runner, CommandSettings.cs, Constants.cs and run.sh: without the
	// second, SIGTERM ends run.sh at once, and its listener lives on and takes jobs.
	env = set(env, "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1")
	env = set(env, "RUNNER_MANUALLY_TRAP_SIG=1")
	env = set(env, "ACTIONS_RUNNER_INPUT_JITCONFIG="+config)
	return launch{args: command, env: env, spent: func() {}}, nil
}

func (actionsRunner) phase(line string) string { return phaseOf(line) }

// meaning is that of actions/runner, Constants.cs, Runner.ReturnCode. It is little, as run.sh makes 0 of
// most: where no job ran, what it printed last says more.
func (actionsRunner) meaning(code int, ran bool) string {
	switch {
	case code == 0 && ran:
		return "job done"
	case code == 0:
		return "ended without a job"
	case code == 1:
		return "terminated error"
	case code == 2:
		return "retryable error"
	case code == 3 || code == 4:
		return "runner wants to update itself: its version is too old"
	case code == 5:
		return "session conflict: another runner uses this registration"
	case code == ExitDeprecated:
		return "runner version deprecated: GitHub no longer takes it"
	case code == ExitForeign:
		return "exit code 7 of a program that printed nothing of GitHub's runner"
	}
	return fmt.Sprintf("exit code %d", code)
}

// reasonOf says in words why a program ended: what it printed last, where no job ran.
func reasonOf(p program, code int, ran bool, last string) string {
	if code > 128 {
		return withLast("killed by "+signalName(syscall.Signal(code-128)), ran, last)
	}
	if code == ExitDeprecated {
		last = ""
	}
	return withLast(p.meaning(code, ran), ran, last)
}

func withLast(meaning string, ran bool, last string) string {
	if ran || last == "" {
		return meaning
	}
	return meaning + ": " + last
}
