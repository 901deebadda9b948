package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
)

// Pauses between requests to redeliver a delivery grow each time it fails again; after some
// refusals by GitHub it is given up. GitHub keeps deliveries for three days.
// https://docs.github.com/en/webhooks/using-webhooks/redelivering-webhooks
const (
	firstAgain  = time.Minute
	longAgain   = time.Hour
	maxRefusals = 3
	keptAgain   = 3 * 24 * time.Hour
)

// failing are the failed deliveries that this process knows.
type failing struct {
	mu     sync.Mutex
	list   map[string]*failed // by GUID; guarded by mu
	listed time.Time          // up to when GitHub's list was read; zero before the first time; guarded by mu
}

// failed is the state of a failed delivery.
type failed struct {
	id       int64     // of its latest attempt; 0 if that is not known to have failed
	first    time.Time // when it was first seen to fail
	next     time.Time // request no redelivery before this
	asked    int
	refusals int
}

// since returns from when to list failures: from the last list, or back ago for the first one.
// Deliveries that were under way then are included again.
func (f *failing) since(now time.Time, back time.Duration) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.listed.IsZero():
		return now.Add(-back)
	case f.listed.After(now): // the clock was set back since
		return now.Add(-underWay)
	}
	return f.listed.Add(-underWay)
}

// note records deliveries whose latest attempt failed by now, and forgets those that GitHub no
// longer keeps.
func (f *failing) note(list []github.Delivery, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed = now
	if f.list == nil {
		f.list = map[string]*failed{}
	}
	for guid, d := range f.list {
		if now.Sub(d.first) > keptAgain {
			delete(f.list, guid)
		}
	}
	for _, d := range list {
		if f.list[d.GUID] == nil {
			f.list[d.GUID] = &failed{first: now}
		}
		f.list[d.GUID].id = d.ID
	}
}

// due returns the deliveries to request at now, in the order of their first failure.
func (f *failing) due(now time.Time) (guids []string, ids []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for guid, d := range f.list {
		wait := d.next.Sub(now) // longer than any pause if the clock was set back since
		if d.id != 0 && d.refusals < maxRefusals && (wait <= 0 || wait > longAgain) {
			guids = append(guids, guid)
		}
	}
	slices.SortFunc(guids, func(a, b string) int {
		return cmp.Or(f.list[a].first.Compare(f.list[b].first), cmp.Compare(f.list[a].id, f.list[b].id))
	})
	for _, guid := range guids {
		ids = append(ids, f.list[guid].id)
	}
	return guids, ids
}

// asked records that guid was requested. Whether it failed again is unknown until the next list.
func (f *failing) asked(guid string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.list[guid]
	d.id, d.asked, d.refusals = 0, d.asked+1, 0
	d.next = now.Add(min(firstAgain<<min(d.asked-1, 10), longAgain))
}

// refused counts a refusal of guid, and reports whether it is given up.
func (f *failing) refused(guid string) (left bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list[guid].refusals++
	return f.list[guid].refusals >= maxRefusals
}

// underWay is how long a delivery may take; those of that long ago are always looked at again.
const underWay = 2 * time.Minute

// Redeliver requests every failed delivery again: those since back ago the first time, then those
// since the last time. A delivery that arrived after all changes nothing the second time. If the
// owner of the webhook is unknown, it does nothing. A delivery that cannot be requested does not
// keep others from being requested; a rate limit does. What was not requested is remembered for the
// next call.
func (p *Pipeline) Redeliver(ctx context.Context, back time.Duration) error {
	if p.HookAt == "" {
		return nil
	}
	now := p.Now()
	at, err := HookScope(p.HookAt)
	if err != nil {
		return err
	}
	hook, err := p.Forge.Webhook(ctx, at, p.HookURL)
	if err != nil {
		return err
	}
	list, err := p.Forge.FailedDeliveries(ctx, at, hook.ID, p.failing.since(now, back))
	if err != nil {
		return err
	}
	p.failing.note(list, now)
	guids, ids := p.failing.due(p.Now())
	var faults error
	for i, guid := range guids {
		err := p.again(ctx, at, hook.ID, guid, ids[i])
		if faults = errors.Join(faults, err); errors.As(err, new(*github.RateLimited)) || ctx.Err() != nil {
			break
		}
	}
	return faults
}

// again requests one delivery.
func (p *Pipeline) again(ctx context.Context, at github.Scope, hook int64, guid string, id int64) error {
	err := p.Forge.Redeliver(ctx, at, hook, id)
	switch {
	case err == nil:
		p.failing.asked(guid, p.Now())
		p.Log.Info("asked for a failed delivery again", "delivery", guid)
	case errors.As(err, new(*github.RateLimited)), errors.Is(err, github.ErrUnavailable), ctx.Err() != nil: // not about this delivery
	case p.failing.refused(guid):
		p.Log.Warn("GitHub does not send a failed delivery again: it is left, and what it told of a job is found by asking for jobs", "delivery", guid, "err", err)
		return nil
	}
	if err != nil {
		err = fmt.Errorf("delivery %s: %w", guid, err)
	}
	return err
}
