package sandbox

import (
	"os"

	"github.com/mayfly-ci/mayfly/internal/fleet/cgroup"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A cache says how a sandbox gets [pool.CacheFolder], which is below the host's /usr.
type cache int

const (
	cacheNone   cache = iota // not at all: runners take longer to start
	cacheFound               // the host has that folder: a new one is mounted over it
	cacheStaged              // root has the sandbox see a /usr/share with that folder in it
)

// findCache decides, by a trial, how runners get that folder.
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
	l.config.Log.Warn("GitHub's runner takes 0.9 s longer to start than need be: make this folder on the host",
		"folder", pool.CacheFolder, "err", err)
}
