package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// CompareJobs reports to the ledger the jobs that GitHub has queued and no event told of. It asks
// about the repositories of open jobs first, because where one delivery came from, others may have
// been lost; then about the repositories under the webhook with the latest pushes; then about some
// of the rest, by turns. When the calls are spent, the next comparison continues elsewhere. An
// error about one repository does not keep others from being asked; a rate limit ends the
// comparison.
func (p *Pipeline) CompareJobs(ctx context.Context) error {
	state, err := p.Ledger.Snapshot(ctx)
	if err != nil {
		return err
	}
	pace := p.Forge.Pace()
	look := &look{Pipeline: p, ctx: forge.WithCalls(ctx, pace.Calls), asked: map[string]bool{}}
	turn := int(p.Now().Unix() / int64(pace.Jobs/time.Second))
	for _, scope := range rotated(scopesOf(state), turn) {
		look.at(scope, p.Forge.QueuedJobs)
	}
	if look.over || p.HookAt == "" {
		return look.faults
	}
	at, err := HookScope(p.HookAt)
	if err != nil {
		return err
	}
	list, err := p.Forge.Repositories(look.ctx, at, turn)
	look.fault(err)
	enterprise, _ := strings.CutPrefix(p.HookAt, "enterprises/")
	if enterprise == p.HookAt {
		enterprise = ""
	}
	for _, r := range inTurn(list, turn) {
		look.at(ledger.Scope{Repository: r.Name, Organization: r.Organization, Enterprise: enterprise}, p.Forge.LatelyQueuedJobs)
	}
	return look.faults
}

// scopesOf returns the repositories of the open jobs of state, in a fixed order.
func scopesOf(state *ledger.State) (list []ledger.Scope) {
	scopes := map[string]ledger.Scope{}
	for j := range state.Jobs() {
		if !j.Settled() {
			scopes[strings.ToLower(j.Scope.Repository)] = j.Scope
		}
	}
	for _, s := range scopes {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b ledger.Scope) int { return strings.Compare(a.Repository, b.Repository) })
	return list
}

// rotated returns list, beginning at another element each turn.
func rotated[T any](list []T, turn int) []T {
	if len(list) == 0 {
		return nil
	}
	from := turn % len(list)
	return slices.Concat(list[from:], list[:from])
}

// How many of the latest pushed repositories each comparison includes, and by how many the
// beginning in the list of the others advances: no more than one comparison can ask about.
const (
	lately = 10
	stride = 17
)

// inTurn returns list, whose latest pushed repositories come first, with the others rotated by
// turn.
func inTurn(list []forge.Repository, turn int) []forge.Repository {
	n := min(lately, len(list))
	return slices.Concat(list[:n], rotated(list[n:], turn*stride))
}

// A look is one comparison.
type look struct {
	*Pipeline
	ctx    context.Context // with the limit of calls
	asked  map[string]bool // repositories
	over   bool            // ask no more
	faults error
}

// at asks about a repository, once.
func (l *look) at(scope ledger.Scope, ask func(ctx context.Context, repository string) ([]event.WorkflowJob, error)) {
	name := strings.ToLower(scope.Repository)
	if l.over || l.asked[name] {
		return
	}
	l.asked[name] = true
	at := l.Now()
	jobs, err := ask(l.ctx, scope.Repository)
	l.fault(err)
	for _, job := range jobs {
		if err := l.seen(l.ctx, job, scope, at); err != nil {
			l.over = true
			l.faults = errors.Join(l.faults, err)
			return
		}
	}
}

// fault records an error, and ends the comparison if no further call would succeed.
func (l *look) fault(err error) {
	limited := errors.As(err, new(*forge.RateLimited))
	l.over = l.over || limited || errors.Is(err, forge.ErrSpent) || l.ctx.Err() != nil
	if err != nil && !errors.Is(err, forge.ErrSpent) {
		l.faults = errors.Join(l.faults, err)
	}
}
