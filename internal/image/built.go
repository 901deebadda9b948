package image

import (
	"fmt"
	"time"
)

func (in Built) apply(t *tx) {
	if b := t.Build; b != nil && b.Release.Version == in.Version && b.Revision == in.Revision {
		t.Build = nil
	}
	for n := range t.Images {
		i := &t.Images[n]
		if i.Digest != in.Digest {
			continue
		}
		i.Lost = false
		if i.State == StateFailed || i.State == StateRemoved { // a rebuild gave the same bytes: it gets another chance
			i.Built, i.Tries, i.NotBefore = t.now, 0, time.Time{}
			t.transition(i, StateBuilt, "")
			t.toFront(n)
		}
		return
	}
	fresh := Image{Digest: in.Digest, Version: in.Version, Revision: in.Revision, Built: t.now, State: StateBuilt, Since: t.now}
	t.Images = append([]Image{fresh}, t.Images...)
}

// toFront makes image n the newest.
func (t *tx) toFront(n int) {
	i := t.Images[n]
	copy(t.Images[1:], t.Images[:n])
	t.Images[0] = i
}

// mostBackoff is the longest pause between the tries of a build that keeps failing.
const mostBackoff = 6 * time.Hour

func (in BuildFailed) apply(t *tx) {
	b := t.Build
	if b == nil || b.Release.Version != in.Version || b.Revision != in.Revision {
		t.ignore("no build of runner %s from source %s is wanted", in.Version, in.Revision)
		return
	}
	b.Asked = time.Time{}
	b.Tries++
	b.Reason = clean(in.Reason)
	b.NotBefore = t.now.Add(backoff(b.Tries, mostBackoff))
}

func (in CanaryPassed) apply(t *tx) {
	i := t.in(in.Digest, StateCanary)
	if i == nil {
		return
	}
	current, some := t.Current()
	if some && i.Version.Compare(current.Version) < 0 {
		t.transition(i, StateGood, fmt.Sprintf("its canary passed; older than runner %s, which is current", current.Version))
		return
	}
	t.promote(i.Digest, "its canary passed", true)
}

// maxTries is how many canary jobs an image gets: a busy machine or a short network failure must
// not condemn it.
const maxTries = 3

func (in CanaryFailed) apply(t *tx) {
	i := t.in(in.Digest, StateCanary)
	if i == nil {
		return
	}
	i.Tries++
	if _, some := t.Current(); some && i.Tries >= maxTries { // without a current image, keep trying: nothing can get worse
		t.transition(i, StateFailed, fmt.Sprintf("its canary failed %d times: %s", i.Tries, in.Reason))
		return
	}
	i.NotBefore = t.now.Add(backoff(i.Tries, mostBackoff))
	t.transition(i, StateBuilt, "its canary failed and is tried again: "+in.Reason)
}

func (in InForce) apply(t *tx) {
	if i := t.in(in.Digest, StateCurrent); i != nil {
		i.Done, i.Asked = true, time.Time{}
	}
}

func (in Removed) apply(t *tx) {
	if i := t.in(in.Digest, StateRemoved); i != nil {
		i.Done, i.Asked = true, time.Time{}
	}
}

func (in Lost) apply(t *tx) {
	for _, d := range in.Digests {
		i := t.find(d)
		switch {
		case i == nil || i.State == StateRemoved && i.Done:
		case i.State == StateRemoved:
			i.Done, i.Asked = true, time.Time{}
		case i.State == StateCurrent:
			t.loseCurrent(d)
		default:
			t.gone(i)
		}
	}
}

// gone records that nothing is left of i.
func (t *tx) gone(i *Image) {
	t.transition(i, StateRemoved, lostReason)
	i.Lost, i.Done = false, true
}

const lostReason = "it is gone from where images are kept"

// loseCurrent replaces the current image, which no longer exists, by the previous one. If there is no
// previous one, the image stays current in name until it is built again.
func (t *tx) loseCurrent(d Digest) {
	previous, ok := t.Previous()
	if ok {
		t.promote(previous.Digest, "image "+d.Short()+" is gone", false)
		t.gone(t.find(d))
		return
	}
	t.find(d).Lost, t.find(d).Reason = true, lostReason
	if t.Build == nil && t.Release.Version != "" {
		t.Build = &Build{Release: t.Release, Revision: t.Revision, Why: "image " + d.Short() + " is gone", Since: t.now}
	}
}

func (in InUse) apply(t *tx) {
	used := map[Digest]bool{}
	for _, d := range in.Digests {
		used[d] = true
	}
	good := 0
	for _, d := range t.byPromotion() {
		i := t.find(d)
		if i.State == StateGood || i.State == StateCurrent {
			if good++; good > t.settings.Keep && i.State == StateGood && !used[d] {
				t.transition(i, StateRemoved, fmt.Sprintf("older than the last %d good ones", t.settings.Keep))
			}
		}
	}
	for n := 1; n < len(t.Images); n++ { // the newest stays, even if it failed, so that people can inspect it
		switch i := &t.Images[n]; {
		case used[i.Digest]:
		case i.State == StateFailed:
			t.transition(i, StateRemoved, i.Reason)
		case i.State == StateBuilt:
			t.transition(i, StateRemoved, "a newer one was built before its canary")
		}
	}
}

// byPromotion lists the images, those first that were promoted or built last.
func (t *tx) byPromotion() []Digest { return byPromotion(t.Images) }
