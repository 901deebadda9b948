// Package claim is stage 5: a runner proves who it is by the channel it speaks
// over, and gets one JIT configuration, once.
//
// The protocol is HTTP over that channel. On one machine the channel is a unix
// socket of the runner's own; on AWS it is a call signed with the task's role.
//
//	POST /claim   →  200 Grant · 403 Refusal · 503 with Retry-After
//	POST /report  ←  Report    →  204
package claim

import "time"

// SocketName is the name of a runner's claim socket in its claim folder.
const SocketName = "claim.sock"

// A Grant is the answer to a claim that was allowed.
type Grant struct {
	Runner     string        `json:"runner"`
	JIT        string        `json:"encoded_jit_config"` // for ACTIONS_RUNNER_INPUT_JITCONFIG; spent when the job ends
	IdleLimit  time.Duration `json:"idle_limit"`         // nanoseconds; 0 means none
	TotalLimit time.Duration `json:"total_limit"`        // nanoseconds; 0 means none
}

// A Refusal is the answer to a claim that was not allowed: the runner leaves.
type Refusal struct {
	Reason string `json:"reason"`
}

// Phases that a Report can tell of.
const (
	PhaseIdle = "idle" // registered and listening for a job
	PhaseBusy = "busy" // running a job
	PhaseGone = "gone" // the runner's program has ended
)

// A Report is what an agent says of its runner. A job shares its container with
// the agent and could forge one: a Report is believed about its own runner only.
type Report struct {
	Phase    string `json:"phase"`
	ExitCode int    `json:"exit_code,omitempty"` // of the runner's program, with PhaseGone
	Reason   string `json:"reason,omitempty"`    // with PhaseGone: why, such as "idle limit"
}
