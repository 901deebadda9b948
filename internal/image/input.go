package image

import "time"

// An Input is one thing that happened. Every input may come late, twice, or after others
// that it should have come before.
type Input interface{ apply(*tx) }

// Released is the feed's answer: the newest release.
type Released struct {
	Release Release
	ETag    string
	Earlier []Release // published before it, where the feed was asked for them
}

// Unchanged is the feed's answer that the newest release is the one it told of before.
type Unchanged struct{}

// FeedFailed says that the feed gave no answer, or one that cannot be believed.
type FeedFailed struct {
	Reason string
	Until  time.Time // no use in asking before; zero when it did not say
}

// Deprecated is GitHub's word on when it refuses a version; zero when it has set no date.
type Deprecated struct {
	Version Version   `json:"version"`
	At      time.Time `json:"at,omitzero"`
}

// Sourced says what revision the source of images has.
type Sourced struct{ Revision string }

// Built says that there is a new image, whoever asked for it.
type Built struct {
	Digest   Digest
	Version  Version
	Revision string
}

// BuildFailed says why there is no image of a version and revision.
type BuildFailed struct {
	Version  Version
	Revision string
	Reason   string
}

// CanaryPassed says that a runner from an image has run its canary job.
type CanaryPassed struct{ Digest Digest }

// CanaryFailed says why it has not.
type CanaryFailed struct {
	Digest Digest
	Reason string
}

// InForce says that launches use an image.
type InForce struct{ Digest Digest }

// StartFailed says that a runner from an image could not be started, or ended before it
// was listening, through no decision of ours. How the last starts went, it among them, is
// of use where the image is on trial ([Catalog.OnTrial]).
type StartFailed struct {
	Digest Digest
	Runner string
	Reason string
	Starts Starts // from the image, since it was promoted
	Before Starts // from the one that it is held against
}

// Refused says that GitHub refused a runner because its version is too old: exit code 7.
type Refused struct {
	Digest Digest // empty when it is not one of the catalog's
	Runner string
}

// Promote is a person's word that an image is to be current. Without Force it must have
// passed its canary.
type Promote struct {
	Digest Digest `json:"digest"`
	Force  bool   `json:"force,omitempty"`
}

// Rollback is a person's word that the image before the current one is to be current.
type Rollback struct {
	Reason string `json:"reason,omitempty"`
}

// InUse lists the images that there are live containers of, so that others can go.
type InUse struct{ Digests []Digest }

// Removed says that nothing is left of an image.
type Removed struct{ Digest Digest }

// Lost says that images are not there any more, through no decision of ours: a person
// cleared up the engine's store.
type Lost struct{ Digests []Digest }

// Restarted says that whoever brought effects about began anew: what was under way came
// to nothing and is asked for again.
type Restarted struct{}

// Tick says that time has passed. Give one every few seconds.
type Tick struct{}
