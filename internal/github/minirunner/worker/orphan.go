package worker

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// trackingVariable marks the processes of a job. One that was started without it
// is not found at the job's end, and outside a container it lives on
// (JobExtension.cs, ProcessInvoker.cs).
const trackingVariable = "RUNNER_TRACKING_ID"

// orphans ends the processes that steps have left running.
func (j *job) orphans(s *step) {
	mark := []byte(trackingVariable + "=" + j.tracking)
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, dir := range dirs {
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() || !slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool { return bytes.Equal(v, mark) }) {
			continue
		}
		name, _ := os.ReadFile(filepath.Join(dir, "comm"))
		s.log(fmt.Sprintf("Terminate orphan process: pid (%d) (%s)", pid, strings.TrimSpace(string(name))))
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	}
}
