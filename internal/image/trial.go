package image

import (
	"fmt"
	"strings"
	"time"
)

// A Record tells how the last starts from an image went, the newest last: "." for one
// that went well, "x" for one that did not.
type Record string

// maxRecord is how many starts a record tells of.
const maxRecord = 20

func (r Record) add(failed bool) Record {
	if failed {
		r += "x"
	} else {
		r += "."
	}
	return r[max(0, len(r)-maxRecord):]
}

// Failed is how many of the starts failed.
func (r Record) Failed() int { return strings.Count(string(r), "x") }

// share is the part of the starts that failed.
func (r Record) share() float64 {
	if r == "" {
		return 0
	}
	return float64(r.Failed()) / float64(len(r))
}

// When starts from an image that has just been promoted count as worse than before. A
// later failure has another cause: GitHub, the network, the host.
const (
	trialTime  = 24 * time.Hour
	leastFails = 3
	worseBy    = 0.25
)

// Worse reports whether runners from i start worse than from the image before it, so
// much that i is to be blamed: of its last starts, since it was promoted, at least 3
// failed, and their share is a quarter of all starts more than before.
func (i Image) Worse() bool {
	return i.Starts.Failed() >= leastFails && i.Starts.share() > i.Before.share()+worseBy
}

func (in Started) apply(t *turn) {
	if i := t.in(in.Digest, StateCurrent); i != nil {
		i.Starts = i.Starts.add(false)
	}
}

func (in StartFailed) apply(t *turn) {
	if i := t.in(in.Digest, StateCurrent); i != nil {
		i.Starts = i.Starts.add(true)
		if i.Trial && i.Worse() {
			i.Reason = clean(fmt.Sprintf("%d of %d runners did not start; %s: %s", i.Starts.Failed(), len(i.Starts), in.Runner, in.Reason))
		}
	}
}

// judge ends the trial of the current image: its time is over, or it is to be blamed.
func (t *turn) judge() {
	current, some := t.Current()
	switch {
	case !some || !current.Trial:
	case t.now.Sub(current.Promoted) >= trialTime:
		t.find(current.Digest).Trial = false
	case current.Worse():
		if previous, ok := t.Previous(); ok {
			t.rollback(current.Digest, previous.Digest, current.Reason)
			t.alarm(KindRollback, current, fmt.Sprintf("image %s was rolled back to %s: %s", current.Digest.Short(), previous.Digest.Short(), current.Reason))
		}
	}
}
