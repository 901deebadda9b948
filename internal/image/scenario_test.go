package image_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/image"
)

// A story is a catalog and the effects that it has asked for.
type story struct {
	t       *testing.T
	c       image.Catalog
	s       image.Settings
	now     time.Time
	effects []image.Effect
}

func newStory(t *testing.T) *story { return &story{t: t, now: start} }

// tell gives inputs, one after another, and returns what the last one came to.
func (s *story) tell(inputs ...image.Input) (result image.Result) {
	s.t.Helper()
	for _, in := range inputs {
		result = s.c.Apply(in, s.s, s.now)
		s.effects = append(s.effects, result.Effects...)
		for _, fault := range s.c.Invariants() {
			s.t.Fatalf("after %T: %v", in, fault)
		}
	}
	return result
}

// pass lets time pass.
func (s *story) pass(d time.Duration) {
	s.t.Helper()
	s.now = s.now.Add(d)
	s.tell(image.Tick{})
}

// asked takes what was asked for, in words.
func (s *story) asked() []string {
	var words []string
	for _, e := range s.effects {
		switch e := e.(type) {
		case image.CheckRelease:
			words = append(words, "check")
		case image.BuildImage:
			words = append(words, "build "+string(e.Release.Version))
		case image.TryImage:
			words = append(words, "try "+string(e.Image.Digest))
		case image.PromoteImage:
			words = append(words, fmt.Sprintf("promote %s after %q", e.Image.Digest, e.Previous))
		case image.RemoveImage:
			words = append(words, "remove "+string(e.Digest))
		case image.Alarm:
			words = append(words, "alarm "+string(e.Kind))
		}
	}
	s.effects = nil
	return words
}

func (s *story) want(words ...string) {
	s.t.Helper()
	if diff := cmp.Diff(words, s.asked()); diff != "" {
		s.t.Fatalf("asked for (-want +got):\n%s", diff)
	}
}

func (s *story) state(digest image.Digest, want image.State) image.Image {
	s.t.Helper()
	i, ok := s.c.Find(digest)
	if !ok || i.State != want {
		s.t.Fatalf("image %s is %q (%s), want %q", digest, i.State, i.Reason, want)
	}
	return i
}

func release(version image.Version, published time.Time) image.Released {
	return image.Released{Release: image.Release{Version: version, SHA256: map[string]string{"amd64": "00"}, Published: published}}
}

// upTo brings a story to where version is current, as digest.
func (s *story) upTo(version image.Version, digest image.Digest) {
	s.t.Helper()
	s.tell(image.Sourced{Revision: "r"}, release(version, s.now), image.Built{Digest: digest, Version: version, Revision: "r"},
		image.CanaryPassed{Digest: digest}, image.InForce{Digest: digest})
	s.state(digest, image.StateCurrent)
	s.asked()
}

func TestReleaseIsBuiltTriedPromoted(t *testing.T) {
	s := newStory(t)
	s.tell(image.Sourced{Revision: "r"})
	s.want("check")
	s.tell(release("2.336.0", s.now))
	s.want("build 2.336.0", "alarm none")
	s.tell(image.Built{Digest: "a", Version: "2.336.0", Revision: "r"})
	s.want("try a")
	s.tell(image.CanaryPassed{Digest: "a"})
	s.want(`promote a after ""`)
	s.tell(image.InForce{Digest: "a"})

	s.pass(time.Hour)
	s.want("check")
	s.tell(release("2.337.0", s.now))
	s.want("build 2.337.0")
	s.tell(image.Built{Digest: "b", Version: "2.337.0", Revision: "r"}, image.CanaryPassed{Digest: "b"}, image.InForce{Digest: "b"})
	s.want("try b", `promote b after "a"`)
	s.state("a", image.StateGood)
	s.pass(time.Minute)
	s.want()
}

func TestEffectsThatAreLostAreAskedForAgain(t *testing.T) {
	s := newStory(t)
	s.tell(image.Sourced{Revision: "r"}, release("2.336.0", s.now))
	s.asked()
	s.tell(image.Restarted{})
	s.want("build 2.336.0")
	s.pass(3 * time.Hour)
	s.want("build 2.336.0", "check")
	s.tell(image.Built{Digest: "a", Version: "2.336.0", Revision: "r"})
	s.want("try a")
	s.tell(image.Restarted{})
	s.want("check", "try a")
	s.pass(time.Hour)
	s.want("check", "try a")
	s.tell(image.CanaryPassed{Digest: "a"})
	s.pass(time.Minute)
	s.want(`promote a after ""`, `promote a after ""`)
}

func TestBuildThatFailsIsTriedLater(t *testing.T) {
	s := newStory(t)
	s.upTo("2.336.0", "a")
	s.tell(release("2.337.0", s.now))
	s.want("build 2.337.0")
	s.tell(image.BuildFailed{Version: "2.337.0", Revision: "r", Reason: "SHA-256 of the archive is 11, want 00"})
	s.want("alarm build")
	s.pass(4 * time.Minute)
	s.want()
	s.pass(time.Minute)
	s.want("build 2.337.0")
	s.state("a", image.StateCurrent)
	if next := s.c.Next(s.now); next != "runner 2.337.0 is being built" {
		t.Errorf("next: %s", next)
	}
}

func TestCanaryThatFailsLeavesCurrent(t *testing.T) {
	s := newStory(t)
	s.upTo("2.336.0", "a")
	s.tell(release("2.337.0", s.now), image.Built{Digest: "b", Version: "2.337.0", Revision: "r"})
	s.want("build 2.337.0", "try b")
	for range 3 {
		s.tell(image.CanaryFailed{Digest: "b", Reason: "it did not register"})
		s.state("a", image.StateCurrent)
		s.pass(time.Hour)
	}
	i := s.state("b", image.StateFailed)
	if !strings.Contains(i.Reason, "3 times: it did not register") {
		t.Errorf("reason: %s", i.Reason)
	}
	s.asked()
	s.pass(30 * 24 * time.Hour)
	for _, what := range s.asked() {
		if strings.HasPrefix(what, "build") || strings.HasPrefix(what, "try") {
			t.Errorf("asked for %q: what failed for good is left alone", what)
		}
	}
}

// TestWhatFailedStaysFailed: also when nothing is left of it but the memory.
func TestWhatFailedStaysFailed(t *testing.T) {
	s := newStory(t)
	s.upTo("2.336.0", "a")
	s.tell(release("2.337.0", s.now), image.Built{Digest: "b", Version: "2.337.0", Revision: "r"})
	for range 3 {
		s.tell(image.CanaryFailed{Digest: "b", Reason: "it did not register"})
		s.pass(time.Hour)
	}
	s.tell(image.Built{Digest: "c", Version: "2.336.0", Revision: "r"}, image.InUse{}, image.Removed{Digest: "b"})
	s.state("b", image.StateRemoved)
	s.asked()
	s.pass(24 * time.Hour)
	for _, what := range s.asked() {
		if strings.HasPrefix(what, "build") {
			t.Errorf("asked for %q, which failed before", what)
		}
	}
}

func TestStartFailuresRollBack(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after image.Starts
		wait          time.Duration
		back          bool
	}{
		{name: "all fail", before: image.Starts{All: 20}, after: image.Starts{All: 3, Failed: 3}, back: true},
		{name: "two fail", before: image.Starts{All: 20}, after: image.Starts{All: 2, Failed: 2}},
		{name: "a few of many", before: image.Starts{All: 20}, after: image.Starts{All: 20, Failed: 3}},
		{name: "many of many", before: image.Starts{All: 20}, after: image.Starts{All: 12, Failed: 5}, back: true},
		{name: "no worse than before", before: image.Starts{All: 5, Failed: 4}, after: image.Starts{All: 6, Failed: 6}},
		{name: "worse than bad", before: image.Starts{All: 20, Failed: 10}, after: image.Starts{All: 20, Failed: 16}, back: true},
		{name: "nothing is known of before", after: image.Starts{All: 20, Failed: 6}, back: true},
		{name: "just within a day", after: image.Starts{All: 3, Failed: 3}, wait: 24*time.Hour - time.Second, back: true},
		{name: "a day later", before: image.Starts{All: 20}, after: image.Starts{All: 20, Failed: 20}, wait: 24 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStory(t)
			s.upTo("2.336.0", "a")
			s.upTo("2.337.0", "b")
			s.now = s.now.Add(c.wait) // and nobody has looked at the time
			failed := image.StartFailed{Digest: "b", Runner: "r1", Reason: "exit code 127", Starts: c.after, Before: c.before}
			s.tell(failed)
			words := s.asked()
			if !c.back {
				s.state("b", image.StateCurrent)
				return
			}
			if len(words) < 2 || words[0] != `promote a after "b"` || words[1] != "alarm rollback" {
				t.Fatalf("asked for %q, want a rollback and its alarm", words)
			}
			s.state("a", image.StateCurrent)
			want := fmt.Sprintf("%s runners did not start, of the image before %s; r1: exit code 127", c.after, c.before)
			if i := s.state("b", image.StateFailed); i.Reason != want {
				t.Errorf("reason: %s, want %s", i.Reason, want)
			}
			back := failed
			back.Digest = "a"
			s.tell(failed, back) // late ones, and those of an image that was rolled back to
			s.state("a", image.StateCurrent)
			s.want()
		})
	}
}

// TestNoTrial: what a person promoted, and the first image of all, is taken back by a
// person only.
func TestNoTrial(t *testing.T) {
	failed := func(d image.Digest) image.StartFailed {
		return image.StartFailed{Digest: d, Runner: "r", Reason: "no", Starts: image.Starts{All: 20, Failed: 20}}
	}
	s := newStory(t)
	s.upTo("2.336.0", "a")
	s.tell(failed("a"))
	s.upTo("2.337.0", "b")
	s.tell(image.Promote{Digest: "a"}, failed("a"))
	s.state("a", image.StateCurrent)
	s.tell(failed("b"), failed("none"))
	s.state("a", image.StateCurrent)
	s.state("b", image.StateGood)
}

func TestRefusedVersion(t *testing.T) {
	refused := image.Refused{Digest: "a", Runner: "r1"}
	t.Run("the feed is asked at once", func(t *testing.T) {
		s := newStory(t)
		s.upTo("2.336.0", "a")
		s.pass(10 * time.Minute)
		s.tell(refused, refused)
		s.want("check", "alarm refused")
		s.tell(image.Unchanged{}, refused)
		s.want()
		s.pass(time.Minute)
		s.tell(refused)
		s.want("check")
		s.tell(release("2.337.0", s.now))
		s.want("build 2.337.0")
		s.tell(image.Built{Digest: "b", Version: "2.337.0", Revision: "r"}, image.CanaryPassed{Digest: "b"})
		s.want("try b", `promote b after "a"`)
		if s.c.Refused() {
			t.Errorf("still refused: %+v", *s.c.Refusal)
		}
	})
	t.Run("not before the feed's limit", func(t *testing.T) {
		s := newStory(t)
		s.upTo("2.336.0", "a")
		s.pass(time.Hour)
		s.tell(image.FeedFailed{Reason: "rate limit", Until: s.now.Add(20 * time.Minute)}, refused)
		s.asked()
		s.pass(19 * time.Minute)
		s.want()
		s.pass(time.Minute)
		s.want("check")
	})
	t.Run("a build that waits", func(t *testing.T) {
		s := newStory(t)
		s.upTo("2.336.0", "a")
		s.tell(release("2.337.0", s.now), image.BuildFailed{Version: "2.337.0", Revision: "r", Reason: "no network"})
		s.asked()
		s.pass(time.Minute)
		s.want()
		s.tell(refused)
		s.want("build 2.337.0", "alarm refused")
	})
	t.Run("an image that failed is built anew", func(t *testing.T) {
		s := newStory(t)
		s.upTo("2.336.0", "a")
		s.upTo("2.337.0", "b")
		s.tell(image.Rollback{})
		s.asked()
		s.tell(refused)
		s.want("build 2.337.0", "alarm refused")
		s.tell(image.Built{Digest: "b", Version: "2.337.0", Revision: "r"}, image.CanaryPassed{Digest: "b"})
		s.want("try b", `promote b after "a"`)
	})
	t.Run("no rollback to it", func(t *testing.T) {
		s := newStory(t)
		s.upTo("2.336.0", "a")
		s.tell(refused)
		s.upTo("2.337.0", "b")
		s.tell(image.StartFailed{Digest: "b", Runner: "r", Reason: "no", Starts: image.Starts{All: 5, Failed: 5}})
		s.state("b", image.StateCurrent)
		if r := s.tell(image.Rollback{}); r.Reason == "" {
			t.Error("rolled back to a version that GitHub refuses")
		}
	})
}

func TestByHand(t *testing.T) {
	s := newStory(t)
	if r := s.tell(image.Rollback{}); r.Reason == "" {
		t.Error("rolled back from nothing")
	}
	s.upTo("2.336.0", "a")
	if r := s.tell(image.Rollback{}); r.Reason == "" {
		t.Error("rolled back to nothing")
	}
	s.upTo("2.337.0", "b")
	s.tell(image.Rollback{})
	s.want(`promote a after "b"`)
	s.state("b", image.StateFailed)
	s.pass(24 * time.Hour)
	s.state("a", image.StateCurrent)
	if r := s.tell(image.Promote{Digest: "b"}); !strings.Contains(r.Reason, "not passed its canary: rolled back by hand") {
		t.Errorf("promoting a failed image: %q", r.Reason)
	}
	s.tell(image.Promote{Digest: "b", Force: true})
	s.state("b", image.StateCurrent)
	if r := s.tell(image.Promote{Digest: "zzz"}); r.Reason == "" {
		t.Error("promoted what is not there")
	}
}

func TestOldImagesGoUnlessInUse(t *testing.T) {
	s := newStory(t)
	s.s.Keep = 2
	for n, d := range []image.Digest{"a", "b", "c", "d"} {
		s.pass(time.Hour)
		s.upTo(image.Version(fmt.Sprintf("2.%d.0", 300+n)), d)
	}
	s.tell(image.InUse{Digests: []image.Digest{"b", "d"}})
	s.want("remove a")
	s.tell(image.Removed{Digest: "a"}, image.InUse{Digests: []image.Digest{"d"}})
	s.want("remove b")
	s.pass(10 * time.Minute)
	s.want("remove b")
	s.state("c", image.StateGood)
}

func TestRunway(t *testing.T) {
	s := newStory(t)
	s.upTo("2.335.0", "a")
	if left, end := s.c.Runway(s.now); !end.IsZero() {
		t.Errorf("runway of the newest: %v until %v, want no end", left, end)
	}
	day := 24 * time.Hour
	s.tell(image.Released{Release: image.Release{Version: "2.337.0", Published: s.now}, Earlier: []image.Release{{Version: "2.336.0", Published: s.now.Add(-10 * day)}}})
	if left, _ := s.c.Runway(s.now); left != 20*day {
		t.Errorf("runway: %v, want 20 days: the next release is 10 days old", left)
	}
	s.tell(image.Deprecated{Version: "2.335.0", At: s.now.Add(6 * day)})
	if left, _ := s.c.Runway(s.now); left != 6*day {
		t.Errorf("runway: %v, want GitHub's own date", left)
	}
	found := false
	for _, what := range s.asked() {
		found = found || what == "alarm runway"
	}
	if !found {
		t.Error("no alarm of a short runway")
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		a, b image.Version
		want int
	}{{"2.336.0", "2.336.0", 0}, {"2.9.0", "2.336.0", -1}, {"2.336.1", "2.336.0", 1}, {"", "2.1.0", -1}, {"10.0.0", "9.9.9", 1}} {
		if got := c.a.Compare(c.b); got != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
	for _, s := range []string{"", "latest", "2.336", "2.336.0-rc", "../2.3.4", "2.336.0\n"} {
		if v, err := image.ParseVersion(s); err == nil {
			t.Errorf("%q was read as %q", s, v)
		}
	}
	if v, err := image.ParseVersion("v2.336.0"); err != nil || v != "2.336.0" {
		t.Errorf("v2.336.0: %q, %v", v, err)
	}
}
