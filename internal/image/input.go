package image

import "time"

// An Input is one thing that happened. Any input may arrive late, twice or out of order.
type Input interface{ apply(*tx) }

// Released is the feed's answer: the newest release.
type Released struct {
	Release Release
	ETag    string
	Earlier []Release // published before it, if the feed was asked for them
}

// Unchanged is the feed's answer that there is no newer release.
type Unchanged struct{}

// FeedFailed reports that the feed did not answer, or answered implausibly.
type FeedFailed struct {
	Reason string
	Until  time.Time // ask no earlier; zero if unknown
}

// Deprecated is GitHub's date for refusing a version; zero if it has set none.
type Deprecated struct {
	Version Version   `json:"version"`
	At      time.Time `json:"at,omitzero"`
}

// Sourced reports the revision of the source of images.
type Sourced struct{ Revision string }

// Built reports a new image, whoever requested it.
type Built struct {
	Digest   Digest
	Version  Version
	Revision string
}

// BuildFailed reports why there is no image of a version and revision.
type BuildFailed struct {
	Version  Version
	Revision string
	Reason   string
}

// CanaryPassed reports that a runner from an image ran its canary job.
type CanaryPassed struct{ Digest Digest }

// CanaryFailed reports why it did not.
type CanaryFailed struct {
	Digest Digest
	Reason string
}

// InForce reports that launches use an image.
type InForce struct{ Digest Digest }

// StartFailed reports that a runner from an image could not be started, or ended before it
// listened, not by our decision. The outcomes of the last starts, including this one, matter if the
// image is on trial ([Catalog.OnTrial]).
type StartFailed struct {
	Digest Digest
	Runner string
	Reason string
	Starts Starts // from the image, since it was promoted
	Before Starts // from the image it is compared with
}

// Refused reports that GitHub refused a runner because its version is too old: exit code 7.
type Refused struct {
	Digest Digest // empty if it is not in the catalog
	Runner string
}

// Accepted reports that GitHub gave a job to a runner of a version that it had refused: by mistake,
// or the enterprise's settings changed.
type Accepted struct {
	Digest  Digest
	Runner  string
	Claimed time.Time // when the runner claimed
}

// Promote is a person's request to make an image current. Without Force it must have passed its
// canary.
type Promote struct {
	Digest Digest `json:"digest"`
	Force  bool   `json:"force,omitempty"`
}

// Rollback is a person's request to make the previous image current.
type Rollback struct {
	Reason string `json:"reason,omitempty"`
}

// InUse lists the images of live containers, so that others can be removed.
type InUse struct{ Digests []Digest }

// Removed reports that nothing is left of an image.
type Removed struct{ Digest Digest }

// Lost reports that images no longer exist, not by our decision: for example, a person pruned the
// engine's store.
type Lost struct{ Digests []Digest }

// Restarted reports that the process that carries out effects was restarted: effects under way are
// lost and are requested again.
type Restarted struct{}

// Tick reports that time passed. Apply one every few seconds.
type Tick struct{}
