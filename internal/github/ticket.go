package github

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A Ticket has what a person needs to start a runner by hand: a registration token for
// config.sh, or a JIT configuration for run.sh. It is safe to print: its secret hides itself
// until a caller reveals it.
type Ticket struct {
	Scope    Scope         `json:"scope"`
	URL      string        `json:"url"`                 // for config.sh --url
	Kind     TicketKind    `json:"kind"`                // what Secret is
	Secret   secret.Secret `json:"secret"`              // the token or the configuration
	Runner   string        `json:"runner,omitempty"`    // name, with a JIT configuration
	RunnerID int64         `json:"runner_id,omitempty"` // with a JIT configuration
	Expires  time.Time     `json:"expires"`             // when it stops working
}

// A TicketKind is the kind of secret in a [Ticket].
type TicketKind string

// The kinds.
const (
	TicketToken TicketKind = "registration-token" // any number of runners, until it expires
	TicketJIT   TicketKind = "jit"                // this one runner, for one job
)

// jitLife is how long GitHub keeps an ephemeral runner that never connects.
// https://docs.github.com/en/actions/reference/runners/self-hosted-runners
const jitLife = 24 * time.Hour

// TokenTicket requests a registration token for s.
func (c *Client) TokenTicket(ctx context.Context, s Scope) (Ticket, error) {
	t, err := c.RegistrationToken(ctx, s)
	if err != nil {
		return Ticket{}, err
	}
	return Ticket{Scope: s, URL: c.at.web + webPage(s), Kind: TicketToken, Secret: t.Value, Expires: t.Expires}, nil
}

// JITTicket registers the runner j at s.
func (c *Client) JITTicket(ctx context.Context, s Scope, j JITRequest) (Ticket, error) {
	jit, err := c.Register(ctx, s, j)
	if err != nil {
		return Ticket{}, err
	}
	return Ticket{
		Scope: s, URL: c.at.web + webPage(s), Kind: TicketJIT, Secret: jit.Config,
		Runner: j.Name, RunnerID: jit.RunnerID, Expires: c.config.Clock.Now().Add(jitLife),
	}, nil
}

// Command returns the command to run in the folder of the runner. It contains the secret: show
// it to the person, never log it. A JIT configuration is passed in the environment, because
// every user of a machine can see arguments.
func (t Ticket) Command() string {
	if t.Kind == TicketJIT {
		return "ACTIONS_RUNNER_INPUT_JITCONFIG=" + t.Secret.Reveal() + " ./run.sh"
	}
	return "./config.sh --unattended --ephemeral --url " + t.URL + " --token " + t.Secret.Reveal() + " && ./run.sh"
}
