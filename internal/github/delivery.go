package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	gh "github.com/google/go-github/v88/github"
	"github.com/mayfly-ci/mayfly/internal/forge"
)

// FailedDeliveries returns the failed deliveries of webhook hook of s since a time, newest
// first; hook is ignored for an App. GitHub keeps deliveries for three days and never
// redelivers by itself. since is by this machine's clock and is corrected by GitHub's, because
// with a clock that is hours ahead every delivery would look too old.
//
// With [forge.ErrSpent], see [WithCalls], it returns those of the pages that were read, which are
// the newest.
//
// It reads all attempts, not only failed ones, because a delivery that was redelivered
// successfully is no longer a failure.
// https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries
func (c *Client) FailedDeliveries(ctx context.Context, s Scope, hook int64, since time.Time) ([]Delivery, error) {
	path, err := deliveries(s, hook)
	if err != nil {
		return nil, err
	}
	r := hookRequest("listing the deliveries of "+s.String(), s, http.MethodGet, path, nil, nil)
	since = since.Add(-c.clock.ahead())
	var attempts []*gh.HookDelivery
	err = list(ctx, c.do, r, func(page []*gh.HookDelivery) bool {
		attempts = append(attempts, page...)
		return len(page) > 0 && !page[len(page)-1].GetDeliveredAt().Before(since)
	})
	if err != nil && !errors.Is(err, forge.ErrSpent) {
		return nil, err
	}
	return failed(attempts, since), err
}

// failed returns the deliveries that have no successful attempt. attempts are newest first.
func failed(attempts []*gh.HookDelivery, since time.Time) []Delivery {
	var all []Delivery
	index := map[string]int{}
	done := map[string]bool{}
	for _, a := range attempts {
		guid := a.GetGUID()
		i, known := index[guid]
		switch {
		case a.GetDeliveredAt().Before(since):
			continue
		case a.GetStatusCode()/100 == 2:
			done[guid] = true
		case known:
			all[i].Attempts++
		default:
			index[guid] = len(all)
			all = append(all, newDelivery(a))
		}
	}
	kept := all[:0]
	for _, d := range all {
		if !done[d.GUID] {
			kept = append(kept, d)
		}
	}
	return kept
}

func newDelivery(a *gh.HookDelivery) Delivery {
	return Delivery{
		ID: a.GetID(), GUID: a.GetGUID(), Event: a.GetEvent(), Action: a.GetAction(), At: a.GetDeliveredAt().Time,
		Code: a.GetStatusCode(), Status: a.GetStatus(), Attempts: 1,
	}
}

// Redeliver makes GitHub send delivery id of webhook hook of s again, with the same GUID.
// The error is ErrNotFound if the delivery is older than three days.
func (c *Client) Redeliver(ctx context.Context, s Scope, hook, id int64) error {
	path, err := deliveries(s, hook)
	if err != nil {
		return err
	}
	doing := fmt.Sprintf("redelivering %d of %s", id, s)
	_, err = c.do(ctx, hookRequest(doing, s, http.MethodPost, fmt.Sprintf("%s/%d/attempts", path, id), nil, nil))
	return err
}

// deliveries returns the path of the deliveries of webhook hook.
func deliveries(s Scope, hook int64) (string, error) {
	if s.Kind == app {
		return "app/hook/deliveries", nil
	}
	return hookPath(s, hook) + "/deliveries", needsHooks("deliveries of "+s.String(), s)
}

// LatestDelivery returns the newest attempt to deliver event to webhook hook of s, and
// whether there was one among the last hundred.
func (c *Client) LatestDelivery(ctx context.Context, s Scope, hook int64, event string) (d Delivery, found bool, err error) {
	path, err := deliveries(s, hook)
	if err != nil {
		return d, false, err
	}
	r := hookRequest("listing the deliveries of "+s.String(), s, http.MethodGet, path, nil, nil)
	err = list(ctx, c.do, r, func(page []*gh.HookDelivery) bool {
		for _, a := range page { // newest first
			if a.GetEvent() == event {
				d, found = newDelivery(a), true
				break
			}
		}
		return false
	})
	return d, found, err
}
