package image

import (
	"slices"
	"time"
)

// Time limits of effects, after which they are requested again.
const (
	checkLimit   = 2 * time.Minute
	buildLimit   = 2 * time.Hour
	canaryLimit  = 30 * time.Minute
	promoteLimit = 30 * time.Second
	removeLimit  = 5 * time.Minute
)

// plan derives from the catalog alone what is needed, and requests what is due.
func (t *tx) plan() {
	t.target()
	if t.Build != nil && due(t.Build.Asked, t.Build.NotBefore, t.now, buildLimit) {
		t.Build.Asked, t.Build.Tried = t.now, t.now
		t.emit(BuildImage{Release: t.Build.Release, Revision: t.Build.Revision, Why: t.Build.Why})
	}
	if !t.settings.Off && due(t.Feed.Asked, t.Feed.Next, t.now, checkLimit) {
		t.Feed.Asked = t.now
		current, _ := t.Current()
		t.emit(CheckRelease{ETag: t.Feed.ETag, Running: current.Version})
	}
	for n := range t.Images {
		t.see(&t.Images[n], n)
	}
}

// target updates the build: one is needed if there is no image of the newest release and the
// present source, unless it would be older than the current one.
func (t *tx) target() {
	current, _ := t.Current()
	if t.settings.Off || t.Release.Version == "" || t.Revision == "" || t.Release.Version.Compare(current.Version) < 0 {
		return
	}
	if b := t.Build; b != nil && b.Release.Version == t.Release.Version && b.Revision == t.Revision {
		b.Release = t.Release // its checksums may have been corrected
		return
	}
	t.Build = nil
	if _, there := t.of(t.Release.Version, t.Revision); there {
		return
	}
	why := "release " + string(t.Release.Version)
	if t.Release.Version == current.Version {
		why = "its source has changed"
	}
	t.Build = &Build{Release: t.Release, Revision: t.Revision, Why: why, Since: t.now}
}

// due reports whether to request something now: it was not requested, or so long ago that the
// answer must be lost.
func due(asked, notBefore, now time.Time, limit time.Duration) bool {
	return !now.Before(notBefore) && (asked.IsZero() || now.Sub(asked) >= limit)
}

// see requests what image i, the nth newest, needs.
func (t *tx) see(i *Image, n int) {
	switch i.State {
	case StateBuilt:
		if n == t.newest(StateBuilt) && t.newest(StateCanary) < 0 && !t.now.Before(i.NotBefore) {
			reason := i.Reason
			t.transition(i, StateCanary, reason)
			t.try(i)
		}
	case StateCanary:
		if due(i.Asked, time.Time{}, t.now, canaryLimit) {
			t.try(i)
		}
	case StateCurrent:
		if !i.Done && due(i.Asked, time.Time{}, t.now, promoteLimit) {
			i.Asked = t.now
			t.emit(PromoteImage{Image: *i, Reason: i.Reason})
		}
	case StateRemoved:
		if !i.Done && due(i.Asked, time.Time{}, t.now, removeLimit) {
			i.Asked = t.now
			t.emit(RemoveImage{Digest: i.Digest, Reason: i.Reason})
		}
	}
}

func (t *tx) try(i *Image) {
	i.Asked = t.now
	t.emit(TryImage{Image: *i})
}

// newest returns the index of the newest image in state; negative if there is none.
func (t *tx) newest(state State) int {
	return slices.IndexFunc(t.Images, func(i Image) bool { return i.State == state })
}

// bound drops what is old, so that the catalog stays small.
func (t *tx) bound() {
	for n := len(t.Images) - 1; n >= 0 && len(t.Images) > maxImages; n-- {
		if i := t.Images[n]; i.State == StateRemoved && i.Done {
			t.Images = slices.Delete(t.Images, n, n+1)
		}
	}
	if extra := len(t.Releases) - maxReleases; extra > 0 {
		t.Releases = slices.Delete(t.Releases, 0, extra)
	}
	for v := range t.Ends {
		if !slices.ContainsFunc(t.Images, func(i Image) bool { return i.Version == v }) {
			delete(t.Ends, v)
		}
	}
}
