package sandbox

import (
	"bytes"
	"fmt"
	"os/exec"
	"syscall"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// limiting returns a prefix for a command, with prlimit(1), that sets the limits of s. Child processes
// inherit them.
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

// checkUlimits tries the limits of s. A sandbox is started as the runner's user, who cannot exceed the hard
// limits of this process.
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
			Key: "ulimits", Err: fmt.Errorf("cannot be set here: %w: %s", err, bytes.TrimSpace(out)),
			Hint: "lower them, or raise the hard limits of mayfly up, which bound those of the sandbox: LimitNOFILE= and the like in its systemd unit",
		}
	}
	return nil
}
