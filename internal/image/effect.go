package image

import "time"

// An Effect is what has to be brought about outside the catalog. Effects may be carried
// out late, twice or not at all: the catalog asks again for what it does not see happening.
type Effect interface{ sealed() }

// CheckRelease asks for the newest release, with ETag in a conditional request, and for
// the dates at which GitHub refuses Running. The answer is [Released], [Unchanged] or
// [FeedFailed], and [Deprecated] where GitHub gives dates.
type CheckRelease struct {
	ETag    string
	Running Version // of the current image; empty when there is none
}

// BuildImage asks for an image; the answer is [Built] or [BuildFailed].
type BuildImage struct {
	Release  Release
	Revision string
	Why      string
}

// TryImage asks for a canary job on a runner from an image; the answer is
// [CanaryPassed] or [CanaryFailed].
type TryImage struct{ Image Image }

// PromoteImage asks for launches to use an image from now on; the answer is [InForce].
type PromoteImage struct {
	Image    Image  `json:"image"`
	Previous Digest `json:"previous,omitempty"` // what launches used; empty when there was none
	Reason   string `json:"reason"`
}

// RemoveImage asks for an image to be removed; the answer is [Removed]. Who does it
// looks first whether the image is still to go: the same may have been built again.
type RemoveImage struct {
	Digest Digest
	Reason string
}

// Alarm tells people of something that they should know of.
type Alarm struct {
	Kind    Kind      `json:"kind"`
	Message string    `json:"message"`
	Digest  Digest    `json:"digest,omitempty"`
	Version Version   `json:"version,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

func (CheckRelease) sealed() {}
func (BuildImage) sealed()   {}
func (TryImage) sealed()     {}
func (PromoteImage) sealed() {}
func (RemoveImage) sealed()  {}
func (Alarm) sealed()        {}

// A Result is what came of an input.
type Result struct {
	Changed bool // whether there is anything to keep
	Effects []Effect

	// Reason says why the input changed nothing, where there is a reason. For [Promote]
	// and [Rollback] it means that they were refused.
	Reason string
}
