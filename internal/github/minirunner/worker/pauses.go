package worker

import (
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// Pauses are how long a job's runner waits for things.
type Pauses struct {
	Interrupt time.Duration // between SIGINT and SIGTERM to a step that is to end
	Terminate time.Duration // between SIGTERM and SIGKILL
	Output    time.Duration // for a step's output to close after its process has ended
	Again     wire.Span     // before another attempt at a call of the run service
	Pull      wire.Span     // before another attempt at pulling an image
	Health    time.Duration // before a service is looked at again, the first time; then twice as long each time
	Download  wire.Span     // before another attempt at resolving or downloading actions
}

// OfficialPauses are those of GitHub's runner (ProcessInvoker.cs, RunnerService.cs,
// ActionManager.cs).
func OfficialPauses() Pauses {
	return Pauses{
		Interrupt: 7500 * time.Millisecond,
		Terminate: 2500 * time.Millisecond,
		Output:    5 * time.Second,
		Again:     wire.Span{Least: 5 * time.Second, Most: 15 * time.Second},
		Pull:      wire.Span{Least: time.Second, Most: 10 * time.Second},
		Health:    2 * time.Second,
		Download:  wire.Span{Least: 10 * time.Second, Most: 30 * time.Second},
	}
}
