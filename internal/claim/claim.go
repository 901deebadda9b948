// Package claim is stage 5: a runner proves who it is by the channel it speaks
// over, and gets one JIT configuration, once.
//
// The protocol is HTTP over that channel. On one machine the channel is a unix
// socket of the runner's own, which [Desk] opens; on AWS it is a call signed
// with the task's role. [Handler] is the protocol's side of one runner on either.
//
//	POST /claim             →  200 Grant · 403 Refusal · 503 with Retry-After
//	POST /report  ← Report  →  204 · 409 stay, GitHub has a job for it · 403 Refusal · 503 with Retry-After
//
// # One claim per runner
//
// A claim goes through four steps, and each is durable before the next begins:
//
//	     Ledger.Claim      Forge.Register    Ledger.Registered      answer
//	new ─────────────▶ granted ────────▶ registered ────────▶ spent ─────▶ 200
//	 │                  │  ▲ │                                 │
//	 │ Refused          │  └─┘ Later, or Registered failed:    │ any further claim
//	 ▼                  ▼      503, the same runner may go on  ▼
//	refused ◀───────────┘ Refused (404, 422)               refused: 403
//
// At Later the grant is given back (Ledger.PutOff) before the answer, so that where each call
// has to ask the ledger again, the next one is granted when the forge has said it may come.
// A crash before that leaves the grant to end by itself.
//
// The configuration leaves this process only from spent. So whoever asks while a
// claim is granted has never had one, and a registration of that name found at
// GitHub ([ErrTaken]) is the runner's own, from an attempt whose answer was lost
// or that a crash cut off: it never ran, and is removed and made again. Once
// spent, an answer that is lost stays lost: the runner is refused, says that it
// is gone without having run a job, and the ledger has its registration removed.
package claim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// SocketName is the name of a runner's claim socket in its claim folder.
const SocketName = "claim.sock"

// The paths of the protocol.
const (
	PathClaim  = "/claim"
	PathReport = "/report"
)

// A Grant is the answer to a claim that was allowed.
type Grant struct {
	Runner     string        `json:"runner"`
	JIT        string        `json:"encoded_jit_config"` // for ACTIONS_RUNNER_INPUT_JITCONFIG; spent when the job ends
	Program    string        `json:"program,omitempty"`  // that the configuration is for, as the agent knows it; "" is GitHub's runner
	IdleLimit  time.Duration `json:"idle_limit"`         // nanoseconds; 0 means none
	TotalLimit time.Duration `json:"total_limit"`        // nanoseconds; 0 means none
}

// A Refusal is the answer to a claim that was not allowed: the runner leaves.
type Refusal struct {
	Reason string `json:"reason"`
}

// Phases that a Report can tell of.
const (
	PhaseIdle       = "idle"       // registered and listening for a job
	PhaseBusy       = "busy"       // running a job
	PhaseRestarting = "restarting" // away for a moment, to update itself or after an error; idle comes again
	PhaseLeaving    = "leaving"    // idle for too long: may it go? 204 says yes, 409 that GitHub has given it a job
	PhaseGone       = "gone"       // the runner's program has ended, or never started
)

// A Report is what an agent says of its runner. A job shares its container with
// the agent and could forge one: a Report is believed about its own runner only.
type Report struct {
	Phase    string `json:"phase"`
	ExitCode int    `json:"exit_code,omitempty"` // with PhaseGone: of the runner's program; 128+n when signal n ended it
	Reason   string `json:"reason,omitempty"`    // with PhaseGone: why, such as "idle limit"
	Ran      bool   `json:"ran,omitempty"`       // with PhaseGone: a job ran; if not, the registration is still there
	Output   string `json:"output,omitempty"`    // with PhaseGone, unless a job ran to its end: the last lines that the runner printed

	Memory pool.MemoryUse `json:"memory,omitzero"` // with PhaseGone: of the whole container, where the agent can see it
}

// What a report's texts may take, in bytes: they are kept for good.
const (
	maxReason = 1000
	MaxOutput = 4 << 10
)

// check returns what is wrong with r.
func (r Report) check() error {
	switch r.Phase {
	case PhaseIdle, PhaseBusy, PhaseRestarting, PhaseLeaving, PhaseGone:
	default:
		return fmt.Errorf("phase %q: want %s, %s, %s, %s or %s", r.Phase, PhaseIdle, PhaseBusy, PhaseRestarting, PhaseLeaving, PhaseGone)
	}
	if len(r.Output) > MaxOutput {
		return fmt.Errorf("output of %d bytes: want at most %d", len(r.Output), MaxOutput)
	}
	if len(r.Reason) > maxReason {
		return fmt.Errorf("reason of %d bytes: want at most %d", len(r.Reason), maxReason)
	}
	return nil
}

// A Permit is the ledger's word that a runner may register for a job.
type Permit struct {
	Granted    time.Time // when, by the ledger's clock: no two grants of a runner have the same
	Job        string    // as text, for the log
	Scope      string    // where to register: a repository, an organisation or an enterprise, as [Forge] reads it
	Labels     []string  // exactly the job's
	Group      int64     // id of the runner group
	IdleLimit  time.Duration
	TotalLimit time.Duration
}

// A Ledger decides claims and keeps what agents report.
type Ledger interface {
	// Claim decides whether runner may register. The grant is durable when it
	// returns; a *[Refused] says no. Another error means that nothing was decided
	// and the runner may ask again. A Desk asks once per runner, and once more
	// after a restart; where each call has a [Handler] of its own, each call asks. To
	// grant again a claim that was never [Ledger.Registered], or to refuse it, are
	// both sound.
	Claim(ctx context.Context, runner string) (Permit, error)

	// PutOff gives back the grant that p is: nothing has come of it, the caller has
	// stopped without a registration to hand out, and the forge takes none before after has
	// passed. Then the runner may be granted its claim again. Of a grant that is not the
	// runner's last, or after Registered, it changes nothing. After an error, a grant that is
	// not given back still ends by itself.
	PutOff(ctx context.Context, runner string, p Permit, after time.Duration) error

	// Registered keeps the id under which the forge knows runner. Only when it
	// has returned nil, and so is durable, does the runner get its configuration;
	// from then on Claim must refuse runner.
	Registered(ctx context.Context, runner string, githubID int64) error

	// Report takes what runner's agent says. To PhaseGone of a runner that is
	// registered and did not run a job, the ledger owes the removal of its
	// registration. To PhaseLeaving it owes that removal before it returns nil,
	// or [ErrBusy] when the forge says that the runner has a job. Another error
	// makes the agent try again.
	Report(ctx context.Context, runner string, r Report) error
}

// A Forge registers runners: GitHub, or what speaks like it.
type Forge interface {
	// Register makes the one registration of runner. It is called again after
	// [Later], and after [ErrTaken] once [Forge.Forget] has returned nil. A
	// *[Refused] is final.
	Register(ctx context.Context, p Permit, runner string) (Registration, error)

	// Forget removes the registration called runner; nil when there is none.
	Forget(ctx context.Context, p Permit, runner string) error
}

// A Registration is what a forge gives for a runner.
type Registration struct {
	ID      int64
	JIT     secret.Secret
	Program string // that JIT is for, as in a [Grant]
}

// ErrTaken says that the forge has a runner of that name already (409).
var ErrTaken = errors.New("a runner of that name is registered already")

// ErrBusy says that a runner that wants to leave has been given a job.
var ErrBusy = errors.New("the runner has a job")

// Refused is a final no; its reason is shown to people.
type Refused struct{ Reason string }

func (e *Refused) Error() string { return "claim refused: " + e.Reason }

// Later is a no for now, such as a rate limit (403, 429), a 5xx, or an answer
// that was lost and so may have had its effect.
type Later struct {
	After time.Duration // not before; 0 leaves it to the desk
	Err   error
}

func (e *Later) Error() string { return fmt.Sprintf("to be tried again in %v: %v", e.After, e.Err) }
func (e *Later) Unwrap() error { return e.Err }
