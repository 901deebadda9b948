// Package image is stage 7: which image runners start from, so that it is never so old
// that GitHub refuses it, and never one that does not work.
//
// It is a pure state machine in the manner of the ledger. A [Catalog] knows the newest
// release of GitHub's runner and the images that were built from releases. [Catalog.Apply]
// takes an [Input] (there is a release, a build ended, a canary job passed, a runner
// could not start) and gives the [Effect]s that somebody else has to bring about: ask for
// releases, build, try, put in force, remove, raise an alarm. There is no I/O, no clock
// and no randomness here. The same catalog decides on one machine and on AWS; a [Store]
// keeps it, and it is small and bounded, so that one row holds it.
//
//	release ─▶ build ─▶ built ─▶ canary ─▶ current ─▶ good ─▶ removed
//	                      ▲         │          │
//	                      └─ again ─┴─▶ failed ◀── start failures after the promotion
package image

import (
	"context"
	"strings"
	"time"
)

// A Digest is the content address of an image, sha256:…, and what runners are started
// from: never a tag, which moves. On one machine it is the engine's image id.
type Digest string

// Short is what a person tells images apart by; what is no digest stays as it is.
func (d Digest) Short() string {
	const most = 12
	hex, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(hex) <= most {
		return string(d)
	}
	return hex[:most]
}

// A Release is one of GitHub's runner.
type Release struct {
	Version   Version           `json:"version"`
	SHA256    map[string]string `json:"sha256,omitempty"` // of the Linux archives, in hex, by architecture as in GOARCH: amd64, arm64
	Published time.Time         `json:"published,omitzero"`
}

// A State is how far an image has come.
type State string

// The states.
const (
	StateBuilt   State = "built"   // waits for its canary job
	StateCanary  State = "canary"  // runs it
	StateCurrent State = "current" // runners start from it
	StateGood    State = "good"    // could be current: its canary passed
	StateFailed  State = "failed"  // will not be current by itself
	StateRemoved State = "removed" // is to go, or has gone
)

// An Image is one that was built.
type Image struct {
	Digest   Digest  `json:"digest"`
	Version  Version `json:"version"`  // of the runner in it
	Revision string  `json:"revision"` // of the source that it was built from

	Built    time.Time `json:"built"`
	Promoted time.Time `json:"promoted,omitzero"` // when it last became current
	State    State     `json:"state"`
	Since    time.Time `json:"since"`            // in this state
	Reason   string    `json:"reason,omitempty"` // why it is in this state, for a person

	Bad       bool      `json:"bad,omitempty"`       // failed, also when it was removed since: not built again by itself
	Tries     int       `json:"tries,omitempty"`     // canary jobs that failed
	NotBefore time.Time `json:"not_before,omitzero"` // no canary before
	Asked     time.Time `json:"asked,omitzero"`      // when its effect was last asked for; zero when there is none to wait for
	Against   Digest    `json:"against,omitempty"`   // promoted by itself: the image before it, whose starts its own are held against
	Lost      bool      `json:"lost,omitempty"`      // current in name only: it is gone from where images are kept
	Done      bool      `json:"done,omitempty"`      // current: launches use it; removed: nothing is left of it
}

// A Build is one that is wanted, under way, or has failed.
type Build struct {
	Release   Release   `json:"release"`
	Revision  string    `json:"revision"`
	Why       string    `json:"why"`                 // such as "release 2.337.0"
	Since     time.Time `json:"since"`               // wanted
	Asked     time.Time `json:"asked,omitzero"`      // under way since; zero when it is not
	Tries     int       `json:"tries,omitempty"`     // that failed
	Tried     time.Time `json:"tried,omitzero"`      // when the last try began
	NotBefore time.Time `json:"not_before,omitzero"` // of the next try
	Reason    string    `json:"reason,omitempty"`    // why the last try failed
}

// A Feed is how the source of releases stands.
type Feed struct {
	Asked    time.Time `json:"asked,omitzero"`    // under way since; zero when it is not
	Answered time.Time `json:"answered,omitzero"` // when it last told of the newest release
	Last     time.Time `json:"last,omitzero"`     // when it was last asked to an end, whatever came of it
	Next     time.Time `json:"next,omitzero"`     // when it is asked next
	Until    time.Time `json:"until,omitzero"`    // it takes no question before: its rate limit
	ETag     string    `json:"etag,omitempty"`    // of the last answer, for a conditional request
	Tries    int       `json:"tries,omitempty"`   // since it last answered
	Reason   string    `json:"reason,omitempty"`  // why it did not; empty when it did
}

// A Refusal is GitHub's word that a version of the runner, and so every older one, is too
// old: exit code 7. It matters while the current image is of such a version, and stays
// known so that no rollback leads there.
type Refusal struct {
	Version Version   `json:"version"`
	Runner  string    `json:"runner"` // the first that was refused
	At      time.Time `json:"at"`
	Count   int       `json:"count"`
}

// A Store keeps a Catalog. Its methods may be called from several goroutines at once.
// The package imagetest has the test that every store passes.
type Store interface {
	// Apply applies in to the catalog, at the store's own time. Inputs are applied one
	// after another. When it returns nil the change is durable; after an error it may or
	// may not be, and the store goes on from what is kept: every input may be given again.
	Apply(ctx context.Context, in Input) (Result, error)

	// Catalog returns a copy of the catalog, as last made durable.
	Catalog(ctx context.Context) (*Catalog, error)
}
