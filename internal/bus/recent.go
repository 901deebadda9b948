package bus

import (
	"sync"

	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

const (
	maxRecent       = 128
	maxRecentDetail = 32 << 10 // bytes; larger events are read from disk
)

// recent caches the newest events, so that one that was just published is not read from disk for
// each of its rules. It takes up to 4 MiB.
type recent struct {
	mu    sync.Mutex
	slots [maxRecent]eventlog.Stored // guarded by mu; indexed by number modulo maxRecent
}

func (r *recent) add(s eventlog.Stored) {
	if len(s.Event.Detail) > maxRecentDetail {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slots[s.Seq%maxRecent] = s
}

func (r *recent) get(seq int64) (eventlog.Stored, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.slots[seq%maxRecent]
	return s, s.Seq == seq
}
