package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// limits is data/field's 21-limits.yml.
var limits = []string{
	"df -k /dev/shm; dd if=/dev/zero of=/dev/shm/x bs=1M count=100 2>&1 | tail -1",
	"ulimit -n; ulimit -n 65536 || echo NOFILE_REFUSED",
}

// TestLimitsOfField has a job print the shared memory and the limits that its pool configures.
func TestLimitsOfField(t *testing.T) {
	t.Parallel()
	for launcher, place := range map[string]func(*testing.T) worldConfig{"sandbox": inSandbox, "engine": inEngine} {
		t.Run(launcher, func(t *testing.T) {
			t.Parallel()
			c := place(t)
			c.pool += "\n    shm: 150MiB\n    ulimits: {nofile: 9000 12000}"
			w := newWorld(t, c)
			w.serve(t)
			w.push(t, map[string]string{".github/workflows/x.yml": workflow(1, strings.Join(limits, "; "))})
			w.completed(t, 1, time.Minute)
			log := w.sim.Log(w.sim.Jobs()[0].ID)
			for _, want := range []string{`(shm|tmpfs) +153600 `, `104857600 bytes .* copied`, `(?m) 9000$`, `NOFILE_REFUSED`} {
				if !regexp.MustCompile(want).MatchString(log) {
					t.Errorf("%s\nlacks %s", log, want)
				}
			}
			w.nothingLeft(t, 30*time.Second)
			w.up.stop(t)
		})
	}
}
