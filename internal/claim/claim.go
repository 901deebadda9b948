// Package claim is stage 5: a runner proves its identity by the channel it speaks over, and gets one JIT
// configuration, once.
//
// The protocol is HTTP over that channel. On one machine the channel is a unix socket made for the runner,
// which [SocketServer] opens; on AWS it is a call signed with the task's role. On both, [Handler] serves
// one runner.
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
// At Later the grant is returned (Ledger.PutOff) before the answer, so that if each call has to ask the
// ledger again, the next one is granted once the forge accepts it. After a crash in between the grant
// expires by itself.
//
// The configuration leaves this process only when the claim is spent. So a runner that claims while its claim
// is granted has never had one, and a registration of its name at GitHub ([ErrTaken]) is its own, from an
// attempt that was interrupted or whose answer was lost: it was never used, and is replaced. Once a claim is
// spent, a lost answer stays lost: the runner is refused and reports that it ended without a job, and the
// ledger has its registration removed.
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

// A Grant is the answer to a granted claim.
type Grant struct {
	Runner     string        `json:"runner"`
	JIT        string        `json:"encoded_jit_config"` // for ACTIONS_RUNNER_INPUT_JITCONFIG; useless once the job has ended
	Program    string        `json:"program,omitempty"`  // that the configuration is for, as the agent knows it; "" is GitHub's runner
	IdleLimit  time.Duration `json:"idle_limit"`         // nanoseconds; 0 means none
	TotalLimit time.Duration `json:"total_limit"`        // nanoseconds; 0 means none
	CA         string        `json:"ca,omitempty"`       // certificates in PEM that the runner trusts besides those of its image
}

// A Refusal is the answer to a refused claim: the runner leaves.
type Refusal struct {
	Reason string `json:"reason"`
}

// Phases of a Report.
const (
	PhaseIdle       = "idle"       // registered and listening for a job
	PhaseBusy       = "busy"       // running a job
	PhaseRestarting = "restarting" // away to update itself or after an error; idle follows
	PhaseLeaving    = "leaving"    // idle for too long: may it leave? 204 means yes, 409 that GitHub has given it a job
	PhaseGone       = "gone"       // the runner's program has ended, or never started
)

// A Report is what an agent reports about its runner. A job shares its container with the agent and
// could forge one, so a Report is only believed about its own runner.
type Report struct {
	Phase    string `json:"phase"`
	ExitCode int    `json:"exit_code,omitempty"` // with PhaseGone: of the runner's program; 128+n if signal n ended it
	Reason   string `json:"reason,omitempty"`    // with PhaseGone: why, such as "idle limit"
	Ran      bool   `json:"ran,omitempty"`       // with PhaseGone: a job ran; if not, the registration still exists
	Output   string `json:"output,omitempty"`    // with PhaseGone, unless a job ran to its end: the runner's last lines of output

	Memory pool.MemoryUse `json:"memory,omitzero"` // with PhaseGone: of the whole container, if the agent can see it
}

// Limits of a report's texts in bytes: they are stored.
const (
	maxReason = 1000
	MaxOutput = 4 << 10
)

// check returns the fault of r.
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

// A Permit is the ledger's permission for a runner to register for a job.
type Permit struct {
	Granted    time.Time // by the ledger's clock; no two grants of a runner have the same
	Job        string    // text form, for the log
	Scope      string    // where to register: a repository, an organization or an enterprise, as [Forge] reads it
	Labels     []string  // exactly those of the job
	Group      string    // name or id of the runner group; "" is the default one
	IdleLimit  time.Duration
	TotalLimit time.Duration
}

// A Ledger decides claims and records what agents report.
type Ledger interface {
	// Claim decides whether runner may register. A grant is durable when Claim returns; a
	// *[Refused] is final. After any other error nothing was decided and the runner may claim
	// again. A SocketServer claims once per runner, and again after a restart; if each call has its
	// own [Handler], each call claims. Granting or refusing again a claim that was never
	// [Ledger.Registered] are both correct.
	Claim(ctx context.Context, runner string) (Permit, error)

	// PutOff returns grant p: the caller stopped without a registration, for the reason of later, and
	// the forge accepts none before later.After has passed. After that the runner may be granted its claim again. PutOff changes
	// nothing if p is not the runner's last grant, or after Registered. If it fails, the grant
	// still expires by itself.
	PutOff(ctx context.Context, runner string, p Permit, later *Later) error

	// Registered records the id under which the forge knows runner. The runner gets its
	// configuration only after Registered returned nil, and so is durable; from then on Claim must
	// refuse runner.
	Registered(ctx context.Context, runner string, githubID int64) error

	// Report records what runner's agent reports. After PhaseGone of a registered runner that ran
	// no job, the ledger owes the removal of its registration. For PhaseLeaving it owes that
	// removal before it returns nil, or [ErrBusy] if the forge says that the runner has a job.
	// After any other error the agent tries again.
	Report(ctx context.Context, runner string, r Report) error
}

// A Forge registers runners: GitHub, or a server with its API.
type Forge interface {
	// Register creates the one registration of runner. It is called again after [Later], and after
	// [ErrTaken] once [Forge.Forget] has returned nil. A *[Refused] is final.
	Register(ctx context.Context, p Permit, runner string) (Registration, error)

	// Forget removes the registration called runner; nil if there is none.
	Forget(ctx context.Context, p Permit, runner string) error
}

// A Registration is a forge's record of a runner.
type Registration struct {
	ID      int64
	JIT     secret.Secret
	Program string // that JIT is for, as in a [Grant]
}

// ErrTaken means that the forge already has a runner of that name (409).
var ErrTaken = errors.New("a runner of that name is registered already")

// ErrBusy means that a runner that asked to leave has been given a job.
var ErrBusy = errors.New("the runner has a job")

// Refused is a final refusal; its reason is shown to people.
type Refused struct{ Reason string }

func (e *Refused) Error() string { return "claim refused: " + e.Reason }

// Later is a temporary refusal, such as a rate limit (403, 429), a 5xx, or a lost answer, whose
// request may have had its effect.
type Later struct {
	After time.Duration // not before this has passed; 0 lets the server choose
	Err   error
}

func (e *Later) Error() string { return fmt.Sprintf("to be tried again in %v: %v", e.After, e.Err) }
func (e *Later) Unwrap() error { return e.Err }
