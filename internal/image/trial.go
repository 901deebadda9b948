package image

import (
	"fmt"
	"time"
)

// Starts tells how the last starts from an image went, [LastStarts] at most.
type Starts struct {
	All    int `json:"all"` // that came out: a runner that listened for jobs, or one that failed
	Failed int `json:"failed"`
}

// LastStarts is how many starts from an image are looked at.
const LastStarts = 20

func (s Starts) String() string { return fmt.Sprintf("%d of %d", s.Failed, s.All) }

// share is the part of the starts that failed.
func (s Starts) share() float64 {
	if s.All == 0 {
		return 0
	}
	return float64(s.Failed) / float64(s.All)
}

// When starts from an image that has just been promoted count as worse than before. A
// later failure has another cause: GitHub, the network, the host.
const (
	trialTime  = 24 * time.Hour
	leastFails = 3
	worseBy    = 0.25
)

// Worse reports whether runners start so much worse than before that their image is to
// be blamed: at least 3 failed, and their share is a quarter of all starts more. Where
// nothing is known of before, none had failed: an image that was current had passed its canary.
func (s Starts) Worse(before Starts) bool {
	return s.Failed >= leastFails && s.share() > before.share()+worseBy
}

// OnTrial returns the image with digest if it is on trial: current, promoted by itself
// in place of another, and within the last day. Only then failed starts are held against it.
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
