package image

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Apply applies in, which happened at now, and decides what follows. It changes only c; the same
// catalog, settings, input and time always give the same result. Times are truncated to seconds.
func (c *Catalog) Apply(in Input, s Settings, now time.Time) Result {
	t := &tx{Catalog: c, settings: s.withDefaults(), now: now.UTC().Truncate(time.Second)}
	before := c.clone()
	in.apply(t)
	t.plan()
	t.alarms()
	t.bound()
	t.result.Changed = !reflect.DeepEqual(before, c.clone())
	return t.result
}

// A tx is the application of one input.
type tx struct {
	*Catalog
	settings Settings
	now      time.Time
	result   Result
}

func (t *tx) emit(e Effect) { t.result.Effects = append(t.result.Effects, e) }

// ignore records why the input changes nothing.
func (t *tx) ignore(format string, args ...any) { t.result.Reason = fmt.Sprintf(format, args...) }

// find returns the image with digest, to be changed. If there is none it returns nil and the input
// is ignored.
func (t *tx) find(digest Digest) *Image {
	for i := range t.Images {
		if t.Images[i].Digest == digest {
			return &t.Images[i]
		}
	}
	t.ignore("no image %s is known", digest)
	return nil
}

// in returns the image with digest if it is in state; otherwise the input is ignored.
func (t *tx) in(digest Digest, state State) *Image {
	i := t.find(digest)
	if i != nil && i.State != state {
		t.ignore("image %s is %s", digest.Short(), i.State)
		return nil
	}
	return i
}

// transition moves i into a state.
func (t *tx) transition(i *Image, state State, reason string) {
	i.State, i.Since, i.Reason = state, t.now, clean(reason)
	i.Asked, i.Done = time.Time{}, false
	i.Bad = state == StateFailed || state == StateRemoved && i.Bad
}

// clean bounds a reason, which other programs may make long, and makes it valid UTF-8.
func clean(reason string) string {
	reason = strings.TrimSpace(strings.ToValidUTF8(reason, "�"))
	if len(reason) > maxReason { // the end of a log says more than its beginning
		reason = "… " + strings.ToValidUTF8(reason[len(reason)-maxReason:], "") // the end of a log says more than its beginning
	}
	return reason
}

func (in Released) apply(t *tx) {
	r := in.Release
	t.answered()
	t.Feed.ETag = in.ETag
	for _, earlier := range append(in.Earlier, r) {
		t.remember(earlier)
	}
	t.Release = r
}

// remember records when a release was published, for the runway of earlier ones.
func (t *tx) remember(r Release) {
	r.SHA256 = nil
	at := len(t.Releases)
	for i, known := range t.Releases {
		switch c := r.Version.Compare(known.Version); {
		case c == 0:
			t.Releases[i] = r
			return
		case c < 0:
			at = min(at, i)
		}
	}
	t.Releases = append(t.Releases[:at:at], append([]Release{r}, t.Releases[at:]...)...)
}

func (in Unchanged) apply(t *tx) { t.answered() }

// answered records a successful answer of the feed.
func (t *tx) answered() {
	t.Feed = Feed{Answered: t.now, Last: t.now, Next: t.now.Add(t.settings.Every), ETag: t.Feed.ETag}
}

func (in FeedFailed) apply(t *tx) {
	f := &t.Feed
	f.Asked, f.Last, f.Until = time.Time{}, t.now, in.Until.UTC().Truncate(time.Second)
	f.Tries++
	f.Reason = clean(in.Reason)
	f.Next = later(t.now.Add(backoff(f.Tries, time.Hour)), f.Until)
}

func (in Deprecated) apply(t *tx) {
	if in.At.IsZero() {
		delete(t.Ends, in.Version)
		return
	}
	if t.Ends == nil {
		t.Ends = map[Version]time.Time{}
	}
	t.Ends[in.Version] = in.At.UTC().Truncate(time.Second)
}

func (in Sourced) apply(t *tx) { t.Revision = in.Revision }

func (in Restarted) apply(t *tx) {
	t.Feed.Asked = time.Time{}
	if t.Build != nil {
		t.Build.Asked = time.Time{}
	}
	for n := range t.Images {
		i := &t.Images[n]
		i.Asked = time.Time{}
		if i.State == StateCanary {
			t.transition(i, StateBuilt, "its canary was interrupted")
		}
	}
}

func (in Tick) apply(*tx) {}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b.UTC().Truncate(time.Second)
	}
	return a
}

// backoff returns the pause after so many failures: 5 minutes, doubled each time.
func backoff(failures int, most time.Duration) time.Duration {
	wait := 5 * time.Minute
	for range failures - 1 {
		if wait *= 2; wait >= most {
			return most
		}
	}
	return min(wait, most)
}
