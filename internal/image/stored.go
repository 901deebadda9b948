package image

import "time"

// A Stored is a runner's image in an image store: a machine's engine, or a stack's repository.
type Stored struct {
	Digest       string    `json:"digest"`   // sha256:…, used by launches
	Tag          string    `json:"tag"`      // its name, for people and the engine
	Version      string    `json:"version"`  // of the runner in it
	SHA256       string    `json:"sha256"`   // of the runner's archive
	Revision     string    `json:"revision"` // of its source
	Base         string    `json:"base"`     // image that it is built on
	Docker       bool      `json:"docker"`   // it has Docker's command line
	Architecture string    `json:"architecture"`
	Built        time.Time `json:"built"`
	Bytes        int64     `json:"bytes"` // on disk, with what it shares with others
}
