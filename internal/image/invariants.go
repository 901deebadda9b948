package image

import (
	"fmt"
	"time"
)

// Invariants returns the violated invariants of the catalog, nil if it is sound.
func (c *Catalog) Invariants() (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	seen := map[Digest]bool{}
	count := map[State]int{}
	for n, i := range c.Images {
		count[i.State]++
		switch {
		case seen[i.Digest]:
			fault("image %s is listed twice", i.Digest)
		case i.Digest == "" || i.Version == "":
			fault("image %d has no digest or no version: %+v", n, i)
		case i.State == StateFailed && i.Reason == "", i.State == StateRemoved && i.Reason == "":
			fault("image %s is %s for no reason", i.Digest, i.State)
		case i.State == StateCurrent && i.Promoted.IsZero():
			fault("image %s is current and was never promoted", i.Digest)
		case len(i.Reason) > maxReason+len("… "):
			fault("image %s: more is kept than may be", i.Digest)
		}
		seen[i.Digest] = true
	}
	if count[StateCurrent] > 1 {
		fault("%d images are current: want one", count[StateCurrent])
	}
	if count[StateCanary] > 1 {
		fault("%d canaries at once: want one", count[StateCanary])
	}
	if b := c.Build; b != nil && (b.Release.Version == "" || b.Tries > 0 && b.Reason == "") {
		fault("a build of nothing, or one that failed for no reason: %+v", *b)
	}
	if len(c.Releases) > maxReleases {
		fault("%d releases are kept", len(c.Releases))
	}
	return append(faults, c.sound()...)
}

// sound checks releases and refusals.
func (c *Catalog) sound() (faults []error) {
	for n := 1; n < len(c.Releases); n++ {
		if a, b := c.Releases[n-1].Version, c.Releases[n].Version; a.Compare(b) >= 0 {
			faults = append(faults, fmt.Errorf("release %s is listed before %s", a, b))
		}
	}
	if r := c.Refusal; r != nil && (r.Version == "" || r.Count < 1 || r.At == time.Time{}) {
		faults = append(faults, fmt.Errorf("a refusal of nothing: %+v", *r))
	}
	return faults
}
