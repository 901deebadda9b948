package pipeline

import (
	"errors"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// forgeCauses is what the errors of a forge mean for a job that waits for a runner's registration.
var forgeCauses = []struct {
	err   error
	cause why.Cause
}{
	{forge.ErrUnauthorized, why.Unauthorized},
	{forge.ErrForbidden, why.Forbidden},
	{forge.ErrNotFound, why.NoPlace},
	{forge.ErrConflict, why.NameTaken},
	{claim.ErrTaken, why.NameTaken},
	{forge.ErrBusy, why.NameTaken},
	{forge.ErrUnprocessable, why.Unprocessable},
}

// Blame returns the cause that an error of the forge is, with the forge's own advice.
func Blame(err error) (b why.Blame) {
	failed := (*forge.Error)(nil)
	if errors.As(err, &failed) {
		b.Fix = failed.Advice
	}
	if errors.As(err, new(*forge.RateLimited)) {
		b.Cause = why.RateLimited
		return b
	}
	for _, of := range forgeCauses {
		if errors.Is(err, of.err) {
			b.Cause = of.cause
			return b
		}
	}
	b.Cause = why.ForgeFails
	if failed == nil || failed.Status == 0 {
		b.Cause = why.ForgeAway
	}
	return b
}

// causeOfExit returns the cause that the exit code of a runner's agent means; "" if it means none.
func causeOfExit(code int) why.Cause {
	switch code {
	case agent.ExitDeprecated:
		return why.VersionRefused
	case agent.ExitRefused:
		return why.ClaimRefused
	case agent.ExitNotFound:
		return why.NoCommand
	case agent.ExitNotStarted:
		return why.StartFailed
	}
	return ""
}
