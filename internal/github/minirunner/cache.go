package minirunner

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// cacheTries is how often .NET tries to write its cache of locations.
const cacheTries = 40

// DefaultCache is where the official runner keeps what GitHub's services are and
// where, for all runners of a machine: .NET's folder for the data of all. It is
// rarely writable, and then each start of a runner takes 0.9 s longer.
const DefaultCache = "/usr/share/GitHubActionsService"

// cacheLocations writes what the server says of itself to the cache. That it
// cannot costs time, nothing else.
func (l *listener) cacheLocations(ctx context.Context, locations []byte) {
	if l.Cache == "" {
		return
	}
	path := filepath.Join(l.Cache, "locations.json")
	for range cacheTries {
		err := os.MkdirAll(l.Cache, 0o755)
		if err == nil {
			err = os.WriteFile(path, locations, 0o644)
		}
		if err == nil || wire.Sleep(ctx, l.Pauses.Cache/time.Duration(cacheTries)) != nil {
			return
		}
	}
	l.trace.Warn("the cache of locations cannot be written", "path", path)
}
