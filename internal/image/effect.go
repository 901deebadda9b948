package image

import "time"

// An Effect is an action to carry out outside the catalog. It may be carried out late, twice or
// never: the catalog requests it again until it sees the outcome.
type Effect interface{ sealed() }

// CheckRelease requests the newest release, with ETag in a conditional request, and the date from
// which GitHub refuses Running. The answer is [Released], [Unchanged] or [FeedFailed], and
// [Deprecated] if GitHub gives a date.
type CheckRelease struct {
	ETag    string
	Running Version // version of the current image; empty if there is none
}

// BuildImage requests an image; the answer is [Built] or [BuildFailed].
type BuildImage struct {
	Release  Release
	Revision string
	Why      string
}

// TryImage requests a canary job on a runner from an image; the answer is [CanaryPassed] or
// [CanaryFailed].
type TryImage struct{ Image Image }

// PromoteImage requests that launches use an image from now on; the answer is [InForce].
type PromoteImage struct {
	Image    Image  `json:"image"`
	Previous Digest `json:"previous,omitempty"` // what launches used before; empty if nothing
	Reason   string `json:"reason"`
}

// RemoveImage requests the removal of an image; the answer is [Removed]. Check first that it is
// still to be removed: the same image may have been built again.
type RemoveImage struct {
	Digest Digest
	Reason string
}

// Alarm reports something that people should know.
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

// A Result is the outcome of an input.
type Result struct {
	Changed bool // whether there is anything to store
	Effects []Effect

	// Reason says why the input was ignored, if it was. For [Promote] and [Rollback] it means that
	// they were refused.
	Reason string
}
