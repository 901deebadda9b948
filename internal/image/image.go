// Package image is stage 7: it decides which image runners start from, so that it is never so old
// that GitHub refuses it, and never one that does not work.
//
// It is a pure state machine like the ledger. A [Catalog] knows the newest release of GitHub's
// runner and the images built from releases. [Catalog.Apply] takes an [Input] (a release was
// published, a build ended, a canary job passed, a runner could not start) and returns the
// [Effect]s to carry out: check for releases, build, try, promote, remove, raise an alarm. It has
// no I/O, clock or randomness. The same catalog decides on one machine and on AWS; a [Store] keeps
// it, and it is bounded, so that one row holds it.
//
//	release ─▶ build ─▶ built ─▶ canary ─▶ current ─▶ good ─▶ removed
//		                    ▲         │          │
//		                    └─ again ─┴─▶ failed ◀── start failures after the promotion
package image

import (
	"context"
	"strings"
	"time"
)

// A Digest is the content address of an image, sha256:…, from which runners are started: never a
// tag, which moves. On one machine it is the engine's image id.
type Digest string

// Short returns enough of the digest for people; anything else is returned unchanged.
func (d Digest) Short() string {
	const most = 12
	hex, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(hex) <= most {
		return string(d)
	}
	return hex[:most]
}

// A Release is a release of GitHub's runner.
type Release struct {
	Version   Version           `json:"version"`
	SHA256    map[string]string `json:"sha256,omitempty"` // hex checksums of the Linux archives by architecture, as in GOARCH: amd64, arm64
	Published time.Time         `json:"published,omitzero"`
}

// A State is how far an image has come.
type State string

// The states.
const (
	StateBuilt   State = "built"   // waits for its canary job
	StateCanary  State = "canary"  // runs it
	StateCurrent State = "current" // runners start from it
	StateGood    State = "good"    // its canary passed: it can become current
	StateFailed  State = "failed"  // does not become current automatically
	StateRemoved State = "removed" // is being removed, or is gone
)

// An Image is a built image.
type Image struct {
	Digest   Digest  `json:"digest"`
	Version  Version `json:"version"`  // of the runner in it
	Revision string  `json:"revision"` // of the source it was built from

	Built    time.Time `json:"built"`
	Promoted time.Time `json:"promoted,omitzero"` // when it last became current
	State    State     `json:"state"`
	Since    time.Time `json:"since"`            // in this state
	Reason   string    `json:"reason,omitempty"` // why it is in this state, for people

	Bad       bool      `json:"bad,omitempty"`       // failed, even if removed since: not built again automatically
	Tries     int       `json:"tries,omitempty"`     // failed canary jobs
	NotBefore time.Time `json:"not_before,omitzero"` // no canary before
	Asked     time.Time `json:"asked,omitzero"`      // when its effect was last requested; zero if none is pending
	Against   Digest    `json:"against,omitempty"`   // if promoted automatically: the previous image, with whose starts its own are compared
	Lost      bool      `json:"lost,omitempty"`      // current, but missing in the image store
	Done      bool      `json:"done,omitempty"`      // current: launches use it; removed: nothing is left of it
}

// A Build is a build that is requested, running or failed.
type Build struct {
	Release   Release   `json:"release"`
	Revision  string    `json:"revision"`
	Why       string    `json:"why"`                 // such as "release 2.337.0"
	Since     time.Time `json:"since"`               // wanted
	Asked     time.Time `json:"asked,omitzero"`      // running since; zero if it is not
	Tries     int       `json:"tries,omitempty"`     // failed ones
	Tried     time.Time `json:"tried,omitzero"`      // when the last try began
	NotBefore time.Time `json:"not_before,omitzero"` // of the next try
	Reason    string    `json:"reason,omitempty"`    // why the last try failed
}

// A Feed is the state of the source of releases.
type Feed struct {
	Asked    time.Time `json:"asked,omitzero"`    // running since; zero if it is not
	Answered time.Time `json:"answered,omitzero"` // last successful answer
	Last     time.Time `json:"last,omitzero"`     // end of the last request, successful or not
	Next     time.Time `json:"next,omitzero"`     // time of the next request
	Until    time.Time `json:"until,omitzero"`    // its rate limit allows no request before this
	ETag     string    `json:"etag,omitempty"`    // of the last answer, for a conditional request
	Tries    int       `json:"tries,omitempty"`   // since its last answer
	Reason   string    `json:"reason,omitempty"`  // why the last request failed; empty if it did not
}

// A Refusal records that GitHub refuses a version of the runner, and so every older one, as too
// old: exit code 7. It matters while the current image has such a version, and is kept so that no
// rollback leads to one. A runner of that version that is given a job after all ends it ([Accepted]).
type Refusal struct {
	Version Version   `json:"version"`
	Runner  string    `json:"runner"` // the first that was refused
	At      time.Time `json:"at"`
	Last    time.Time `json:"last,omitzero"` // when it last refused one of that version or an older one
	Count   int       `json:"count"`
}

// A Store keeps a Catalog. Its methods are safe for concurrent use. Package imagetest has the
// contract test that every store passes.
type Store interface {
	// Apply applies in at the store's own time. Inputs are applied one after another. When Apply
	// returns nil the change is durable; after an error it may or may not be, the caller may repeat
	// any input, and the store continues from what is stored.
	Apply(ctx context.Context, in Input) (Result, error)

	// Catalog returns a copy of the last durable catalog.
	Catalog(ctx context.Context) (*Catalog, error)
}
