package github

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/clock"
)

// A priority decides which calls go first when GitHub's limits are near.
type priority int

const (
	urgent       priority = iota // calls that start a job
	housekeeping                 // all others
)

// GitHub allows 100 concurrent requests for an App's installation. Each priority has
// separate slots, so that starting a job never waits for housekeeping. Together they stay
// below the limit.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
const (
	urgentSlots       = 72
	housekeepingSlots = 16
)

const (
	// One call in reserve of the hourly limit is kept for starting jobs: housekeeping
	// stops when no more than these are left.
	reserve = 10

	// headStart is how much longer housekeeping waits after a rate limit, so that
	// jobs that waited start first.
	headStart = 5 * time.Second

	// longestLimit bounds what an answer can ask for: limits are counted by the hour.
	longestLimit = time.Hour + time.Minute
)

// A budget is the rate limit of one credential. While a limit holds, calls fail here at
// once with a [RateLimited], because GitHub may ban a client that goes on calling. It is safe for concurrent use.
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately
type budget struct {
	slots [2]chan struct{}
	clock clock.Clock

	mu    sync.Mutex
	until [2]time.Duration // no calls before, by priority, on the steady clock: the wall clock may be set meanwhile; under mu
}

func newBudget(c clock.Clock) *budget {
	return &budget{slots: [2]chan struct{}{make(chan struct{}, urgentSlots), make(chan struct{}, housekeepingSlots)}, clock: c}
}

// enter waits for a slot, as long as ctx allows, and returns a func to give it
// back; or a *RateLimited.
func (b *budget) enter(ctx context.Context, p priority) (leave func(), err error) {
	select {
	case b.slots[p] <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	leave = func() { <-b.slots[p] }
	b.mu.Lock()
	until := b.until[p]
	b.mu.Unlock()
	if wait := until - b.clock.Steady(); wait > 0 {
		leave()
		return nil, &RateLimited{Until: b.clock.Now().Add(wait)}
	}
	return leave, nil
}

// limited records a rate limit that GitHub answered with.
func (b *budget) limited(until time.Time) {
	b.hold(urgent, until)
	b.hold(housekeeping, until.Add(headStart))
}

// observe reads what an answer says of the hourly limit. Limits of single
// resources, such as that of App manifests, are not the credential's.
func (b *budget) observe(h http.Header) {
	left, errLeft := strconv.Atoi(h.Get("X-Ratelimit-Remaining"))
	limit, errLimit := strconv.Atoi(h.Get("X-Ratelimit-Limit"))
	reset, ok := resetTime(h, b.clock.Now())
	resource := h.Get("X-Ratelimit-Resource")
	if errLeft != nil || errLimit != nil || !ok || resource != "" && resource != "core" {
		return
	}
	if left == 0 {
		b.hold(urgent, reset)
	}
	if left <= limit/reserve {
		b.hold(housekeeping, reset.Add(headStart))
	}
}

func (b *budget) hold(p priority, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until[p] = max(b.until[p], b.clock.Steady()+min(until.Sub(b.clock.Now()), longestLimit))
}
