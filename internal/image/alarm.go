package image

import (
	"fmt"
	"time"
)

// A Kind is what an alarm is about.
type Kind string

// The kinds. All except the rollback last until their cause is gone.
const (
	KindRefused  Kind = "refused"  // GitHub refuses the current version
	KindRunway   Kind = "runway"   // GitHub will refuse it soon
	KindNone     Kind = "none"     // no image to start runners from
	KindBuild    Kind = "build"    // the newest release could not be built
	KindCanary   Kind = "canary"   // the newest image did not pass its canary
	KindFeed     Kind = "feed"     // the feed has not answered for a day
	KindRollback Kind = "rollback" // an image was rolled back, just now
)

const (
	shortRunway = 7 * 24 * time.Hour
	longSilence = 24 * time.Hour
	alarmAgain  = 24 * time.Hour
)

// Alarms returns what people should know now, the worst first.
func (c *Catalog) Alarms(now time.Time) (all []Alarm) {
	add := func(k Kind, i Image, since time.Time, format string, args ...any) {
		all = append(all, Alarm{Kind: k, Message: fmt.Sprintf(format, args...), Digest: i.Digest, Version: i.Version, Since: since})
	}
	current, some := c.Current()
	if r := c.Refusal; c.Refused() {
		add(KindRefused, current, r.At, "GitHub refuses runner %s, %d times by now: jobs wait until a newer image is current; %s", r.Version, r.Count, c.Next(now))
	}
	if left, end := c.Runway(now); some && !end.IsZero() && left < shortRunway && !c.Refused() {
		add(KindRunway, current, end.Add(-shortRunway), "runner %s is refused by GitHub %s; %s", current.Version, Days(left), c.Next(now))
	}
	if !some && (len(c.Images) > 0 || c.Build != nil) {
		add(KindNone, Image{}, time.Time{}, "no image is current; %s", c.Next(now))
	}
	if b := c.Build; b != nil && b.Tries > 0 {
		add(KindBuild, Image{Version: b.Release.Version}, b.Since, "the image of runner %s was not built, tried %d times: %s", b.Release.Version, b.Tries, b.Reason)
	}
	if len(c.Images) > 0 && c.Images[0].Tries > 0 && c.Images[0].State != StateCurrent && c.Images[0].State != StateGood {
		i := c.Images[0]
		add(KindCanary, i, i.Built, "image %s of runner %s is not promoted: %s", i.Digest.Short(), i.Version, i.Reason)
	}
	if f := c.Feed; f.Reason != "" && now.Sub(f.Answered) > longSilence {
		add(KindFeed, Image{}, f.Answered, "the feed of releases does not answer: %s", f.Reason)
	}
	return all
}

// Next returns, for people, what has to happen for a newer image.
func (c *Catalog) Next(now time.Time) string {
	if len(c.Images) > 0 {
		switch i := c.Images[0]; i.State {
		case StateCanary:
			return fmt.Sprintf("image %s of runner %s runs its canary", i.Digest.Short(), i.Version)
		case StateBuilt:
			return fmt.Sprintf("image %s of runner %s waits for its canary", i.Digest.Short(), i.Version)
		}
	}
	switch b := c.Build; {
	case b == nil && c.Release.Version == "" && c.Feed.Reason != "":
		return "no release is known: " + c.Feed.Reason
	case b == nil && c.Release.Version == "":
		return "no release is known yet"
	case b == nil:
		return fmt.Sprintf("the newest release is %s, and no build of it is under way", c.Release.Version)
	case !b.Asked.IsZero():
		return fmt.Sprintf("runner %s is being built", b.Release.Version)
	case b.Tries > 0:
		return fmt.Sprintf("the build of runner %s failed and is tried again: %s", b.Release.Version, b.Reason)
	}
	return fmt.Sprintf("runner %s is to be built", c.Build.Release.Version)
}

// alarm reports something that does not last.
func (t *tx) alarm(k Kind, i Image, message string) {
	t.emit(Alarm{Kind: k, Message: message, Digest: i.Digest, Version: i.Version, Since: t.now})
}

// alarms reports what lasts, when it begins and once a day.
func (t *tx) alarms() {
	lasting := map[Kind]bool{}
	for _, a := range t.Alarms(t.now) {
		lasting[a.Kind] = true
		if told, ok := t.Raised[a.Kind]; ok && t.now.Sub(told) < alarmAgain {
			continue
		}
		if t.Raised == nil {
			t.Raised = map[Kind]time.Time{}
		}
		t.Raised[a.Kind] = t.now
		t.emit(a)
	}
	for k := range t.Raised {
		if !lasting[k] {
			delete(t.Raised, k)
		}
	}
}
