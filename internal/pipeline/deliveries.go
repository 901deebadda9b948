package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// Pauses between requests to redeliver a delivery grow each time it fails again; after some
// refusals by GitHub it is given up. GitHub keeps deliveries for three days.
// https://docs.github.com/en/webhooks/using-webhooks/redelivering-webhooks
const (
	firstAgain  = time.Minute
	longAgain   = 256 * time.Minute
	maxAsked    = 5
	maxRefusals = 3
	keptAgain   = 3 * 24 * time.Hour
)

// What one look may take of GitHub's hourly limit: pages of a hundred deliveries, and calls for one each. What a
// look does not get to, the next one does, but for pages: there are newer ones by then.
const (
	listCalls = 10
	maxAsks   = 50
)

// maxFailing bounds how many failed deliveries are remembered, so that they fit one item of DynamoDB: 400 KB. Those
// that failed last stay.
const maxFailing = 2000

// hopeless reports whether Mayfly's own answer to a delivery says that it would never take it: its form or its size
// is wrong, and would be the next time.
func hopeless(code int) bool {
	switch code {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return true
	}
	return false
}

// A Memo keeps a text by its name, for processes that end, such as functions.
type Memo interface {
	Read(ctx context.Context, name string) ([]byte, error) // nil if there is none
	Write(ctx context.Context, name string, text []byte) error
}

// memoName is where the failing deliveries are kept.
const memoName = "deliveries"

// failing are the deliveries that failed: in memory, and in a [Memo] where there is one.
type failing struct {
	mu   sync.Mutex
	list map[string]*failed // by GUID; mu
	kept []byte             // what the memo has; mu

	listed time.Time // up to when GitHub was asked for them; zero before the first time; mu
}

// failed is the state of a failed delivery.
type failed struct {
	ID       int64     `json:"i,omitempty"` // of its latest attempt; 0 while that is not known to have failed
	First    time.Time `json:"f"`           // when it was first seen to fail
	Next     time.Time `json:"n,omitzero"`  // it is not asked for before
	Asked    int       `json:"a,omitempty"`
	Refusals int       `json:"r,omitempty"`
}

// left reports whether d is not asked for any more.
func (d *failed) left() bool { return d.Refusals >= maxRefusals || d.Asked >= maxAsked }

// A memory is the JSON form of failing.
type memory struct {
	Listed time.Time          `json:"listed"`
	List   map[string]*failed `json:"list"`
}

// recall reads what another process has kept.
func (f *failing) recall(ctx context.Context, m Memo) error {
	if m == nil {
		return nil
	}
	text, err := m.Read(ctx, memoName)
	if err != nil || text == nil {
		return err
	}
	var kept memory
	if err := json.Unmarshal(text, &kept); err != nil {
		return fmt.Errorf("reading the deliveries that failed: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list, f.listed, f.kept = kept.List, kept.Listed, text
	return nil
}

// keep writes what is new for other processes.
func (f *failing) keep(ctx context.Context, m Memo) error {
	if m == nil {
		return nil
	}
	f.mu.Lock()
	text, err := json.Marshal(memory{f.listed, f.list})
	same := string(text) == string(f.kept)
	f.kept = text
	f.mu.Unlock()
	if err != nil || same {
		return err
	}
	return m.Write(ctx, memoName, text)
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
func (f *failing) note(list []forge.Delivery, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed = now.UTC().Truncate(time.Second)
	if f.list == nil {
		f.list = map[string]*failed{}
	}
	for guid, d := range f.list {
		if now.Sub(d.First) > keptAgain {
			delete(f.list, guid)
		}
	}
	for _, d := range list {
		if hopeless(d.Code) {
			delete(f.list, d.GUID)
			continue
		}
		if f.list[d.GUID] == nil {
			f.list[d.GUID] = &failed{First: f.listed}
		}
		f.list[d.GUID].ID = d.ID
	}
	for _, guid := range f.inOrder(func(*failed) bool { return true })[:max(0, len(f.list)-maxFailing)] {
		delete(f.list, guid)
	}
}

// inOrder returns the GUIDs of those that match, in the order in which they first failed. The caller has mu.
func (f *failing) inOrder(match func(*failed) bool) (guids []string) {
	for guid, d := range f.list {
		if match(d) {
			guids = append(guids, guid)
		}
	}
	slices.SortFunc(guids, func(a, b string) int {
		return cmp.Or(f.list[a].First.Compare(f.list[b].First), cmp.Compare(f.list[a].ID, f.list[b].ID))
	})
	return guids
}

// due returns those that are to be asked for at now, in the order in which they first failed.
func (f *failing) due(now time.Time) (guids []string, ids []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	guids = f.inOrder(func(d *failed) bool {
		wait := d.Next.Sub(now) // longer than any pause when the clock was set back since
		return d.ID != 0 && !d.left() && (wait <= 0 || wait > longAgain)
	})
	guids = guids[:min(len(guids), maxAsks)]
	for _, guid := range guids {
		ids = append(ids, f.list[guid].ID)
	}
	return guids, ids
}

// asked records that guid was requested. Whether it failed again is unknown until the next list.
func (f *failing) asked(guid string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.list[guid]
	d.ID, d.Asked, d.Refusals = 0, d.Asked+1, 0
	d.Next = now.UTC().Truncate(time.Second).Add(min(firstAgain<<min(2*(d.Asked-1), 10), longAgain))
}

// refused counts a refusal of guid, and reports whether it is given up.
func (f *failing) refused(guid string) (left bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list[guid].Refusals++
	return f.list[guid].left()
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
	if err := p.failing.recall(ctx, p.Memo); err != nil {
		return err
	}
	at, err := HookScope(p.HookAt)
	if err != nil {
		return err
	}
	hook, err := p.Forge.Webhook(ctx, at, p.HookURL)
	if err != nil {
		return err
	}
	if err := p.listFailed(ctx, at, hook.ID, back); err != nil {
		return err
	}
	guids, ids := p.failing.due(p.Now())
	var faults error
	for i, guid := range guids {
		err := p.again(ctx, at, hook.ID, guid, ids[i])
		if faults = errors.Join(faults, err); errors.As(err, new(*forge.RateLimited)) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(faults, p.failing.keep(context.WithoutCancel(ctx), p.Memo))
}

// listFailed notes the deliveries that failed since the last time. When they are more than the pages of a look, those
// beyond are left to [Pipeline.CompareJobs]: else a look that is too long would never end, nor the next one.
func (p *Pipeline) listFailed(ctx context.Context, at forge.Scope, hook int64, back time.Duration) error {
	now := p.Now()
	list, err := p.Forge.FailedDeliveries(forge.WithCalls(ctx, listCalls), at, hook, p.failing.since(now, back))
	if errors.Is(err, forge.ErrSpent) {
		p.Log.Warn("deliveries are more than a look reads: what older ones told of jobs is found by asking for jobs", "pages", listCalls)
	} else if err != nil {
		return err
	}
	p.failing.note(list, now)
	return nil
}

// again requests one delivery.
func (p *Pipeline) again(ctx context.Context, at forge.Scope, hook int64, guid string, id int64) error {
	err := p.Forge.Redeliver(ctx, at, hook, id)
	switch {
	case err == nil:
		p.failing.asked(guid, p.Now())
		p.Log.Info("asked for a failed delivery again", "delivery", guid)
	case errors.As(err, new(*forge.RateLimited)), errors.Is(err, forge.ErrUnavailable), ctx.Err() != nil: // not about this delivery
	case p.failing.refused(guid):
		p.Log.Warn("the forge does not send a failed delivery again: it is left, and what it told of a job is found by asking for jobs", "delivery", guid, "err", err)
		return nil
	}
	if err != nil {
		err = fmt.Errorf("delivery %s: %w", guid, err)
	}
	return err
}
