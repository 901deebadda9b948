package image

import (
	"fmt"
	"time"
)

// Starts are the outcomes of the last starts from an image, at most [LastStarts].
type Starts struct {
	All    int `json:"all"` // with an outcome: the runner listened for jobs, or failed
	Failed int `json:"failed"`
}

// LastStarts is how many starts from an image are considered.
const LastStarts = 20

func (s Starts) String() string { return fmt.Sprintf("%d of %d", s.Failed, s.All) }

// share returns the share of failed starts.
func (s Starts) share() float64 {
	if s.All == 0 {
		return 0
	}
	return float64(s.Failed) / float64(s.All)
}

// When starts from a newly promoted image count as worse than before. A later failure has another
// cause: GitHub, the network, the host.
const (
	trialTime  = 24 * time.Hour
	leastFails = 3
	worseBy    = 0.25
)

// Worse reports whether starts are so much worse than before that the image is to blame: at least 3
// failed, and their share is higher by a quarter. If nothing is known of before, none had failed:
// an image that was current had passed its canary.
func (s Starts) Worse(before Starts) bool {
	return s.Failed >= leastFails && s.share() > before.share()+worseBy
}

// OnTrial returns the image with digest if it is on trial: current, promoted automatically in place
// of another, within the last day. Only then do failed starts count against it.
func (c *Catalog) OnTrial(digest Digest, now time.Time) (Image, bool) {
	current, some := c.Current()
	if !some || current.Digest != digest || current.Against == "" || now.Sub(current.Promoted) >= trialTime {
		return Image{}, false
	}
	return current, true
}

func (in StartFailed) apply(t *tx) {
	if _, ok := t.OnTrial(in.Digest, t.now); !ok || !in.Starts.Worse(in.Before) {
		t.ignore("image %s is not to blame", in.Digest.Short())
		return
	}
	previous, ok := t.Previous()
	if !ok {
		t.ignore("there is no good image to go back to")
		return
	}
	current := *t.find(in.Digest)
	reason := clean(fmt.Sprintf("%s runners did not start, of the image before %s; %s: %s", in.Starts, in.Before, in.Runner, in.Reason))
	t.rollback(current.Digest, previous.Digest, reason)
	t.alarm(KindRollback, current, fmt.Sprintf("image %s was rolled back to %s: %s", current.Digest.Short(), previous.Digest.Short(), reason))
}
