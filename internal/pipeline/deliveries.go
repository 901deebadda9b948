package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// A delivery that fails again is asked for later each time; one that GitHub refuses to send again is
// left after some refusals. GitHub has none that is older than three days.
// https://docs.github.com/en/webhooks/using-webhooks/redelivering-webhooks
const (
	firstAgain  = time.Minute
	longAgain   = time.Hour
	maxRefusals = 3
	keptAgain   = 3 * 24 * time.Hour
)

// failing are the deliveries that failed, as long as the process lives.
type failing struct {
	mu     sync.Mutex
	list   map[string]*failed // by GUID; mu
	listed time.Time          // up to when GitHub was asked for them; zero before the first time; mu
}

// A failed delivery, and what has come of asking for it again.
type failed struct {
	id       int64     // of its latest attempt; 0 while that is not known to have failed
	first    time.Time // when it was first seen to fail
	next     time.Time // it is not asked for before
	asked    int
	refusals int
}

// since is from when on GitHub is to be asked for those that failed: since the last time, or so far back the first
// time. Those that were under way then are looked at again.
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

// note notes deliveries whose latest attempt failed up to now, and forgets those that GitHub has forgotten.
func (f *failing) note(list []forge.Delivery, now time.Time) {
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

// due returns those that are to be asked for at now, in the order in which they first failed, and counts that.
func (f *failing) due(now time.Time) (guids []string, ids []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for guid, d := range f.list {
		wait := d.next.Sub(now) // longer than any pause when the clock was set back since
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

// asked notes that guid was asked for: it is not known to fail until it is listed again.
func (f *failing) asked(guid string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.list[guid]
	d.id, d.asked, d.refusals = 0, d.asked+1, 0
	d.next = now.Add(min(firstAgain<<min(d.asked-1, 10), longAgain))
}

// refused counts a refusal of guid, and reports whether it is left from now on.
func (f *failing) refused(guid string) (left bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list[guid].refusals++
	return f.list[guid].refusals >= maxRefusals
}

// underWay is how long a delivery may be under way: those of as long ago are always looked at again.
const underWay = 2 * time.Minute

// Redeliver asks GitHub for every delivery again that failed: the first time of those so far back, then since
// the last time. A GUID that arrived all the same does nothing twice. Where it is not known whose webhook it
// is, there is nothing to ask. One that cannot be asked for keeps no other from it; a rate limit does. What was not
// asked for is noted, and is asked for the next time without being listed again.
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
		if faults = errors.Join(faults, err); errors.As(err, new(*forge.RateLimited)) || ctx.Err() != nil {
			break
		}
	}
	return faults
}

// again asks for one delivery.
func (p *Pipeline) again(ctx context.Context, at forge.Scope, hook int64, guid string, id int64) error {
	err := p.Forge.Redeliver(ctx, at, hook, id)
	switch {
	case err == nil:
		p.failing.asked(guid, p.Now())
		p.Log.Info("asked for a failed delivery again", "delivery", guid)
	case errors.As(err, new(*forge.RateLimited)), errors.Is(err, forge.ErrUnavailable), ctx.Err() != nil: // it is not about this one
	case p.failing.refused(guid):
		p.Log.Warn("GitHub does not send a failed delivery again: it is left, and what it told of a job is found by asking for jobs", "delivery", guid, "err", err)
		return nil
	}
	if err != nil {
		err = fmt.Errorf("delivery %s: %w", guid, err)
	}
	return err
}
