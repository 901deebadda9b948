package image_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mayfly-ci/mayfly/internal/image"
)

// A world carries out the effects of a catalog, late, twice or not at all.
type world struct {
	t       *rapid.T
	c       image.Catalog
	s       image.Settings
	now     time.Time
	pending []image.Effect
	there   map[image.Digest]bool   // images that exist
	used    map[image.Digest]bool   // by live containers
	starts  map[image.Digest][]bool // of runners, in their order: which failed
	force   image.Digest            // what launches use
	ever    bool                    // something was current
	latest  int                     // newest release at GitHub, 2.LATEST.0
	oldest  int                     // that GitHub takes
	made    int
}

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, now: start, latest: 300, oldest: 290, s: image.Settings{Keep: rapid.IntRange(1, 4).Draw(t, "keep")},
		there: map[image.Digest]bool{}, used: map[image.Digest]bool{}, starts: map[image.Digest][]bool{},
	}
	w.apply(image.Sourced{Revision: "r0"})
	return w
}

func (w *world) pick(n int) int { return rapid.IntRange(0, n-1).Draw(w.t, "pick") }

// apply gives an input, through the catalog's JSON, and checks what must always hold.
func (w *world) apply(in image.Input) {
	w.t.Helper()
	w.throughJSON()
	refused := w.c.Refusal != nil
	result := w.c.Apply(in, w.s, w.now)
	for _, fault := range w.c.Invariants() {
		w.t.Fatalf("after %T %+v: %v", in, in, fault)
	}
	current, some := w.c.Current()
	if w.ever = w.ever || some; w.ever && !some {
		w.t.Fatalf("after %T nothing is current any more", in)
	}
	if _, ok := in.(image.Refused); !ok && !refused && w.c.Refusal != nil {
		w.t.Fatalf("%T made a refusal", in)
	}
	for _, e := range result.Effects {
		if r, ok := e.(image.RemoveImage); ok && r.Digest == current.Digest {
			w.t.Fatalf("%T removes image %s, which is current", in, r.Digest)
		}
	}
	w.pending = append(w.pending, result.Effects...)
}

func (w *world) throughJSON() {
	data, err := json.Marshal(w.c)
	if err != nil {
		w.t.Fatal(err)
	}
	var again image.Catalog
	if err := json.Unmarshal(data, &again); err != nil {
		w.t.Fatal(err)
	}
	second, _ := json.Marshal(again)
	if diff := cmp.Diff(string(data), string(second)); diff != "" {
		w.t.Fatalf("JSON of a catalog is not stable: %s", diff)
	}
	w.c = again
}

func (w *world) release() image.Release {
	return image.Release{
		Version: image.Version(fmt.Sprintf("2.%d.0", w.latest)), SHA256: map[string]string{"amd64": "00"}, Published: w.now,
	}
}

// carryOut takes one pending effect and does it, well or badly, or forgets it.
func (w *world) carryOut() {
	if len(w.pending) == 0 {
		return
	}
	n := w.pick(len(w.pending))
	e := w.pending[n]
	if w.pick(5) > 0 { // or else it happens twice
		w.pending = append(w.pending[:n:n], w.pending[n+1:]...)
	}
	if w.pick(8) > 0 {
		w.do(e, w.pick(4) > 0)
	}
}

func (w *world) do(e image.Effect, well bool) {
	switch e := e.(type) {
	case image.CheckRelease:
		w.check(well)
	case image.BuildImage:
		w.build(e, well)
	case image.TryImage:
		if well {
			w.apply(image.CanaryPassed{Digest: e.Image.Digest})
		} else {
			w.apply(image.CanaryFailed{Digest: e.Image.Digest, Reason: "it did not register"})
		}
	case image.PromoteImage:
		if current, _ := w.c.Current(); current.Digest == e.Image.Digest {
			w.force = e.Image.Digest
			w.apply(image.InForce{Digest: e.Image.Digest})
		}
	case image.RemoveImage:
		if i, _ := w.c.Find(e.Digest); i.State == image.StateRemoved && !w.used[e.Digest] {
			delete(w.there, e.Digest)
			w.apply(image.Removed{Digest: e.Digest})
		}
	}
}

func (w *world) check(well bool) {
	switch {
	case !well:
		w.apply(image.FeedFailed{Reason: "down"})
	case w.c.Release.Version == w.release().Version:
		w.apply(image.Unchanged{})
	default:
		w.apply(image.Released{Release: w.release()})
	}
}

func (w *world) build(e image.BuildImage, well bool) {
	if !well {
		w.apply(image.BuildFailed{Version: e.Release.Version, Revision: e.Revision, Reason: "no network"})
		return
	}
	d := image.Digest(fmt.Sprintf("sha256:%064d", w.made))
	w.made++
	for _, i := range w.c.Images { // a build of the same may give the same, byte for byte
		if i.Version == e.Release.Version && i.Revision == e.Revision && w.pick(4) == 0 {
			d = i.Digest
		}
	}
	w.there[d] = true
	w.apply(image.Built{Digest: d, Version: e.Release.Version, Revision: e.Revision})
}

func (w *world) any() image.Digest {
	if len(w.c.Images) == 0 {
		return "sha256:none"
	}
	return w.c.Images[w.pick(len(w.c.Images))].Digest
}

// launch starts a runner from what is in force; GitHub may refuse it.
func (w *world) launch() {
	i, ok := w.c.Find(w.force)
	if !ok {
		return
	}
	var minor int
	fmt.Sscanf(string(i.Version), "2.%d.0", &minor)
	switch {
	case minor < w.oldest:
		w.apply(image.Refused{Digest: i.Digest, Runner: "r"})
	case w.pick(3) == 0:
		w.fail(i.Digest)
	default:
		w.starts[i.Digest] = append(w.starts[i.Digest], false)
	}
}

// fail has a runner from an image fail to start.
func (w *world) fail(d image.Digest) {
	w.starts[d] = append(w.starts[d], true)
	before, _ := w.c.Find(d)
	in := image.StartFailed{Digest: d, Runner: "r", Reason: "exit code 1", Starts: w.last(d), Before: w.last(before.Against)}
	current, some := w.c.Current()
	w.apply(in)
	after, _ := w.c.Current()
	if blamed := current.Digest == d && in.Starts.Worse(in.Before); some && !blamed && after.Digest != current.Digest {
		w.t.Fatalf("%+v took image %s back, which is not to blame: %+v", in, current.Digest, current)
	}
}

// last is what a ledger tells of an image.
func (w *world) last(d image.Digest) (s image.Starts) {
	all := w.starts[d]
	for _, failed := range all[max(0, len(all)-image.LastStarts):] {
		s.All++
		if failed {
			s.Failed++
		}
	}
	return s
}

func (w *world) acts() []func() {
	return []func(){
		w.carryOut, w.carryOut, w.carryOut, w.carryOut, w.launch, w.launch,
		func() { w.latest++ },
		func() { w.oldest = min(w.latest, w.oldest+w.pick(3)) },
		func() { w.pass(time.Minute) }, func() { w.pass(10 * time.Minute) }, func() { w.pass(3 * time.Hour) },
		func() { w.apply(image.Restarted{}); w.pending = nil },
		func() { w.apply(image.Sourced{Revision: fmt.Sprint("r", w.pick(3))}) },
		func() { w.apply(image.Promote{Digest: w.any(), Force: w.pick(2) == 0}) },
		func() { w.apply(image.Rollback{}) },
		func() { w.fail(w.any()) },
		w.sweep, w.lose,
	}
}

// lose has a person clear up: an image is gone, whatever it was there for.
func (w *world) lose() {
	if w.pick(4) == 0 {
		d := w.any()
		delete(w.there, d)
		w.apply(image.Lost{Digests: []image.Digest{d}})
	}
}

// sweep tells which images are in use: none of these may be chosen to go.
func (w *world) sweep() {
	w.used = map[image.Digest]bool{w.force: true, w.any(): true}
	list := []image.Digest{}
	state := map[image.Digest]image.State{}
	for d := range w.used {
		i, _ := w.c.Find(d)
		list, state[d] = append(list, d), i.State
	}
	w.apply(image.InUse{Digests: list})
	for d, before := range state {
		if i, ok := w.c.Find(d); ok && i.State == image.StateRemoved && before != image.StateRemoved {
			w.t.Fatalf("image %s is removed, and is in use", d)
		}
	}
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.apply(image.Tick{})
}

// settle lets all go well until nothing is left to do.
func (w *world) settle() {
	for range 200 {
		w.used = map[image.Digest]bool{w.force: true}
		w.apply(image.InUse{Digests: []image.Digest{w.force}})
		w.pass(time.Hour)
		for len(w.pending) > 0 {
			e := w.pending[0]
			w.pending = w.pending[1:]
			w.do(e, true)
		}
	}
}

// TestWorld: whatever happens, in whatever order, every step leaves the catalog sound;
// and when things go well again, the newest release is built or was found bad, what is
// in force is what is current, and no more images are left than are to be kept.
func TestWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		acts := w.acts()
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			acts[w.pick(len(acts))]()
		}
		w.settle()
		current, some := w.c.Current()
		if !some || current.Digest != w.force {
			t.Fatalf("current is %q, and %q is in force", current.Digest, w.force)
		}
		if !w.there[current.Digest] && len(w.c.Images) > 1 {
			t.Fatalf("current is %s, which is gone: %+v", current.Digest, w.c)
		}
		if w.c.Release.Version != w.release().Version || w.c.Build != nil {
			t.Fatalf("the newest release is %s, want %s; still to be built: %+v", w.c.Release.Version, w.release().Version, w.c.Build)
		}
		w.checkLeft(t)
	})
}

// checkLeft counts the images that are there.
func (w *world) checkLeft(t *rapid.T) {
	good, others := 0, 0
	for _, i := range w.c.Images {
		switch i.State {
		case image.StateGood, image.StateCurrent:
			good++
		case image.StateRemoved:
			if w.there[i.Digest] {
				t.Fatalf("image %s is removed and still there", i.Digest)
			}
		default:
			others++
		}
	}
	if good > w.s.Keep || others > 1 {
		t.Fatalf("%d good images and %d others are left: want at most %d and the newest", good, others, w.s.Keep)
	}
}
