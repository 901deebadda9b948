package image

import (
	"maps"
	"slices"
	"time"
)

// A Catalog is what is known about releases and images. It is a value: stores keep its JSON. The
// zero value is empty.
type Catalog struct {
	Release  Release               `json:"release,omitzero"` // the newest, according to the feed
	Releases []Release             `json:"releases"`         // that were the newest, oldest first, without checksums
	Ends     map[Version]time.Time `json:"ends,omitempty"`   // from when GitHub refuses a version, if it says so
	Revision string                `json:"revision"`         // of the source of images
	Feed     Feed                  `json:"feed,omitzero"`
	Build    *Build                `json:"build,omitempty"`   // requested, running or failed; nil if nothing has to be built
	Images   []Image               `json:"images"`            // newest first
	Refusal  *Refusal              `json:"refusal,omitempty"` // of the newest version that GitHub refused; nil if none
	Raised   map[Kind]time.Time    `json:"raised,omitempty"`  // lasting alarms, and when each was last reported
}

// Settings are what people can configure.
type Settings struct {
	Keep  int           // number of good images to keep, including the current one; 0 means [DefaultKeep]
	Every time.Duration // interval of checks for a release; 0 means an hour. Add some jitter
	Off   bool          // neither check for releases nor build automatically
}

// DefaultKeep is how many good images are kept by default.
const DefaultKeep = 3

func (s Settings) withDefaults() Settings {
	if s.Keep <= 0 {
		s.Keep = DefaultKeep
	}
	if s.Every <= 0 {
		s.Every = time.Hour
	}
	return s
}

// Bounds of a catalog.
const (
	maxImages   = 40
	maxReleases = 40
	maxReason   = 2000
)

// Current returns the image that runners start from, and whether there is one.
func (c *Catalog) Current() (Image, bool) {
	for _, i := range c.Images {
		if i.State == StateCurrent {
			return i, true
		}
	}
	return Image{}, false
}

// Find returns the image with digest, which may be abbreviated as long as it is unambiguous.
func (c *Catalog) Find(digest Digest) (Image, bool) {
	var found []Image
	for _, i := range c.Images {
		if i.Digest == digest {
			return i, true
		}
		if len(digest) >= 6 && (hasPrefix(i.Digest, digest) || hasPrefix(i.Digest, "sha256:"+digest)) {
			found = append(found, i)
		}
	}
	if len(found) != 1 {
		return Image{}, false
	}
	return found[0], true
}

func hasPrefix(d, prefix Digest) bool { return len(d) >= len(prefix) && d[:len(prefix)] == prefix }

// Previous returns the image to which a rollback leads: the good one that was promoted last, of a
// version that GitHub accepts.
func (c *Catalog) Previous() (Image, bool) {
	var best Image
	for _, i := range c.Images {
		if i.State == StateGood && !i.Promoted.IsZero() && !c.refused(i.Version) && i.Promoted.After(best.Promoted) {
			best = i
		}
	}
	return best, best.Digest != ""
}

// Refused reports whether GitHub refuses the current image.
func (c *Catalog) Refused() bool {
	current, some := c.Current()
	return some && c.refused(current.Version)
}

// refused reports whether GitHub has refused version v, or a newer one.
func (c *Catalog) refused(v Version) bool {
	return c.Refusal != nil && v.Compare(c.Refusal.Version) <= 0
}

// of returns the newest image of a version and revision that exists, or was bad.
func (c *Catalog) of(v Version, revision string) (Image, bool) {
	for _, i := range c.Images {
		if i.Version == v && i.Revision == revision && (i.State != StateRemoved || i.Bad) {
			return i, true
		}
	}
	return Image{}, false
}

// clone returns a deep copy.
func (c *Catalog) clone() *Catalog {
	n := *c
	n.Images = slices.Clone(c.Images)
	n.Releases = slices.Clone(c.Releases)
	n.Ends = maps.Clone(c.Ends)
	n.Raised = maps.Clone(c.Raised)
	if c.Build != nil {
		b := *c.Build
		n.Build = &b
	}
	if c.Refusal != nil {
		r := *c.Refusal
		n.Refusal = &r
	}
	return &n
}
