package sandbox

import (
	"bytes"
	"fmt"
	"os/exec"
	"syscall"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// limiting returns the words that a command is started with to have the limits of s, by prlimit(1): limits
// are of processes, which pass them on to those that they start.
func limiting(s pool.Setup) []string {
	if len(s.Ulimits) == 0 {
		return nil
	}
	words := []string{"prlimit"}
	for _, name := range s.UlimitList() {
		words = append(words, "--"+name+"="+s.Ulimits[name].String())
	}
	return words
}

// checkUlimits tries the limits of s. What starts a sandbox is the runner's user already, who can exceed no
// hard limit of ours.
func checkUlimits(s pool.Setup) error {
	words := limiting(s)
	if words == nil {
		return nil
	}
	trial := exec.Command(words[0], append(words[1:], "true")...)
	trial.Dir, trial.SysProcAttr = "/", &syscall.SysProcAttr{}
	become(trial.SysProcAttr, firstUID)
	if out, err := trial.CombinedOutput(); err != nil {
		return &fleet.Refusal{
			Key: "ulimits", Err: fmt.Errorf("are not to be had here: %w: %s", err, bytes.TrimSpace(out)),
			Hint: "lower them, or give mayfly up higher hard limits, which runners in the sandbox cannot exceed: LimitNOFILE= and the like in its systemd unit",
		}
	}
	return nil
}
