package sandbox

import (
	"os"

	"github.com/mayfly-ci/mayfly/internal/fleet/cgroup"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A cache is how a sandbox gets [pool.CacheFolder], which is below the host's read-only /usr.
type cache int

const (
	cacheNone   cache = iota // not at all: runners start more slowly
	cacheFound               // the host has the folder: an empty one is mounted over it
	cacheStaged              // only as root: the sandbox sees an overlay of /usr/share with the folder
)

// findCache finds out by a trial how runners can get the folder.
func (l *Launcher) findCache() {
	if info, err := os.Stat(pool.CacheFolder); err == nil && info.IsDir() {
		l.cache = cacheFound
		return
	}
	var err error
	if l.asRoot {
		trial := stage{folder: stageFolder}
		trial.share()
		cgroup.OnThread(func() { err = trial.mount() })
		if err == nil {
			l.cache = cacheStaged
			return
		}
	}
	l.config.Log.Warn("GitHub's runner takes 0.9 s longer to start without this folder: create it on the host",
		"folder", pool.CacheFolder, "err", err)
}
