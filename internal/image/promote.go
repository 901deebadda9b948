package image

import (
	"cmp"
	"slices"
	"time"
)

func (in Promote) apply(t *tx) {
	known, ok := t.Catalog.Find(in.Digest)
	if !ok {
		t.ignore("no image %s is known", in.Digest)
		return
	}
	switch i := t.find(known.Digest); {
	case i.State == StateCurrent:
		t.ignore("image %s is current already", i.Digest.Short())
	case i.State == StateRemoved:
		t.ignore("image %s is removed: %s", i.Digest.Short(), i.Reason)
	case i.State != StateGood && !in.Force:
		t.ignore("image %s is %s: it has not passed its canary%s", i.Digest.Short(), i.State, colon(i.Reason))
	default:
		t.promote(i.Digest, "promoted by hand", false)
	}
}

func colon(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func (in Rollback) apply(t *tx) {
	current, some := t.Current()
	previous, ok := t.Previous()
	switch {
	case !some:
		t.ignore("no image is current")
	case !ok:
		t.ignore("there is no good image to go back to")
	default:
		t.rollback(current.Digest, previous.Digest, cmp.Or(in.Reason, "rolled back by hand"))
	}
}

// promote makes the image with digest current. On trial, its starts are compared with those of the
// previous image, if there was one.
func (t *tx) promote(digest Digest, reason string, trial bool) {
	var before Image
	for n := range t.Images {
		if i := &t.Images[n]; i.State == StateCurrent {
			before = *i
			if i.Lost {
				t.gone(i)
				continue
			}
			t.transition(i, StateGood, "until "+digest.Short()+" was promoted")
		}
	}
	i := t.find(digest)
	t.transition(i, StateCurrent, reason)
	i.Promoted, i.Against = t.now, ""
	if trial {
		i.Against = before.Digest
	}
	i.Asked = t.now
	t.emit(PromoteImage{Image: *i, Previous: before.Digest, Reason: i.Reason})
}

// rollback makes previous current instead of an image that will not become current automatically
// again.
func (t *tx) rollback(current, previous Digest, reason string) {
	t.promote(previous, "rolled back to, from "+current.Short(), false)
	t.transition(t.find(current), StateFailed, reason)
}

// byPromotion returns the digests of images, the last promoted or built first.
func byPromotion(images []Image) []Digest {
	sorted := slices.Clone(images)
	slices.SortStableFunc(sorted, func(a, b Image) int { return stood(b).Compare(stood(a)) })
	list := make([]Digest, len(sorted))
	for n, i := range sorted {
		list[n] = i.Digest
	}
	return list
}

// stood returns when i was last promoted, or else built.
func stood(i Image) time.Time {
	if i.State == StateCurrent {
		return i.Promoted.Add(time.Hour * 24 * 365 * 100) // before all others
	}
	return later(i.Built, i.Promoted)
}

func (in Refused) apply(t *tx) {
	version := Version("")
	if i, ok := t.Catalog.Find(in.Digest); ok {
		version = i.Version
	}
	if version == "" {
		t.ignore("image %s of runner %s, which GitHub refused, is not one of ours", in.Digest, in.Runner)
		return
	}
	if t.Refusal == nil || version.Compare(t.Refusal.Version) > 0 {
		t.Refusal = &Refusal{Version: version, Runner: in.Runner, At: t.now}
	}
	t.Refusal.Count++
	t.Refusal.Last = t.now
	if current, some := t.Current(); !some || t.refused(current.Version) {
		t.hurry()
	}
}

func (in Accepted) apply(t *tx) {
	if i, ok := t.Catalog.Find(in.Digest); ok && t.refused(i.Version) && in.Claimed.After(t.Refusal.Last) {
		t.Refusal = nil
		return
	}
	t.ignore("no refusal is older than the claim of runner %s", in.Runner)
}

// hurryPause is the shortest pause between two attempts, however often GitHub refuses a runner
// meanwhile.
const hurryPause = time.Minute

// hurry brings forward what leads to an image that GitHub accepts: a good one, a waiting canary, a
// build, or the check for a newer release.
func (t *tx) hurry() {
	if i, ok := t.unrefused(); ok {
		t.promote(i.Digest, "GitHub refuses runner "+string(t.Refusal.Version), false)
		return
	}
	if t.refused(t.Release.Version) {
		soon := later(later(t.now, t.Feed.Last.Add(hurryPause)), t.Feed.Until)
		if soon.Before(t.Feed.Next) {
			t.Feed.Next = soon
		}
		return
	}
	if i, ok := t.of(t.Release.Version, t.Revision); ok && (i.State == StateBuilt || i.State == StateCanary) {
		t.find(i.Digest).NotBefore = i.Since.Add(hurryPause)
		return
	}
	if t.Build == nil {
		t.Build = &Build{Release: t.Release, Revision: t.Revision, Since: t.now}
	}
	t.Build.Why = "GitHub refuses runner " + string(t.Refusal.Version)
	t.Build.NotBefore = t.Build.Tried.Add(hurryPause)
}

// unrefused returns the newest good image that GitHub accepts.
func (t *tx) unrefused() (best Image, ok bool) {
	for _, i := range t.Images {
		if i.State == StateGood && !t.refused(i.Version) && i.Version.Compare(best.Version) > 0 {
			best, ok = i, true
		}
	}
	return best, ok
}
