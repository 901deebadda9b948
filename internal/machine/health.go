package machine

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// The parts that a ready machine needs.
const (
	partDatabase = "database" // a delivery can be stored
	partLauncher = "launcher" // a runner can be started
	partForge    = "forge"    // it answers and accepts the credential
)

// Intervals of the checks. A check costs one small write, one ping or one GitHub call.
const (
	databaseEvery = 10 * time.Second
	launcherEvery = 15 * time.Second
	forgeEvery    = time.Minute
	lookLimit     = 10 * time.Second
)

// A vital is the state of a part or loop. Anybody can read it, so its words are those of this file,
// never those of an error.
type vital struct {
	Name  string    `json:"name"`
	OK    bool      `json:"ok"`
	State string    `json:"state"`
	Since time.Time `json:"since"`

	cause why.Cause // what it means for a job that waits; "" if it is OK
}

// vitals are what /healthz and /readyz report. The zero value is ready for use.
type vitals struct {
	mu    sync.Mutex
	parts map[string]vital // by name; guarded by mu
	loops map[string]*loop // by what they do; guarded by mu
}

// A loop has to complete a round within limit.
type loop struct {
	limit time.Duration
	last  time.Time // end of the last round
}

// beat records that the loop called name, which runs every period, completed a round.
func (v *vitals) beat(name string, period time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.loops == nil {
		v.loops = map[string]*loop{}
	}
	v.loops[name] = &loop{limit: patience(period), last: time.Now()}
}

// patience is how long one round may take of a loop that runs every period. A loop of minutes makes
// many GitHub calls: three days of deliveries may be a thousand pages, and a restart would begin
// with the first page again.
func patience(period time.Duration) time.Duration {
	if period < time.Minute {
		return max(10*period, time.Minute)
	}
	return max(10*period, time.Hour)
}

// set records the state of a part, and reports whether that is news.
func (v *vitals) set(name string, cause why.Cause, ok bool, state string) (news bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if was, known := v.parts[name]; known && was.OK == ok && was.State == state {
		return false
	}
	if v.parts == nil {
		v.parts = map[string]vital{}
	}
	v.parts[name] = vital{name, ok, state, time.Now().UTC(), cause}
	return true
}

// alive returns the states of the loops.
func (v *vitals) alive() (all []vital) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, l := range v.loops {
		s := vital{Name: name, OK: true, State: "turns", Since: l.last.UTC()}
		if time.Since(l.last) > l.limit {
			s.OK, s.State = false, "stands still"
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b vital) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// ready returns the states of the parts, or only of the named one.
func (v *vitals) ready(only string) (all []vital) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, name := range []string{partDatabase, partLauncher, partForge} {
		s, known := v.parts[name]
		if !known {
			s = vital{Name: name, State: "not looked at yet"}
		}
		if only == "" || only == name {
			all = append(all, s)
		}
	}
	return all
}

// routes adds the endpoints for probes.
func (v *vitals) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { tellVitals(w, "loops", v.alive()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { tellVitals(w, "parts", v.ready("")) })
	mux.HandleFunc("GET /readyz/{part}", func(w http.ResponseWriter, r *http.Request) {
		one := v.ready(r.PathValue("part"))
		if len(one) == 0 {
			http.NotFound(w, r)
			return
		}
		tellVitals(w, "parts", one)
	})
}

// tellVitals answers 200 if all is well, and 503 otherwise.
func tellVitals(w http.ResponseWriter, what string, all []vital) {
	ok := !slices.ContainsFunc(all, func(s vital) bool { return !s.OK })
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	reply(w, status, map[string]any{"ok": ok, what: all})
}

// watchParts checks the parts until ctx ends.
func (m *Machine) watchParts(ctx context.Context, group interface{ Go(func() error) }) {
	for name, look := range m.looks() {
		group.Go(func() error {
			return m.every(ctx, look.period, "looking at "+name, func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, lookLimit)
				defer cancel()
				m.notice(ctx, name, look)
				return nil
			})
		})
	}
}

// A look checks a part; hint is for its errors.
type look struct {
	period time.Duration
	do     func(context.Context) error
	hint   string
}

func (m *Machine) looks() map[string]look {
	return map[string]look{
		partDatabase: {databaseEvery, m.db.Probe, "make room where state: in the configuration is, and see that mayfly may write there"},
		partLauncher: {launcherEvery, m.probeLauncher, "start the container engine: systemctl start podman.socket, or docker"},
		partForge:    {forgeEvery, m.pipeline.CheckCredential, "mayfly config check looks at the credential; curl -sI " + m.pipeline.Forge.Web() + " tells whether this machine reaches " + m.pipeline.Forge.Name()},
	}
}

// notice checks a part, and logs a change of its state.
func (m *Machine) notice(ctx context.Context, name string, l look) {
	err := l.do(ctx)
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return // the machine ends
	}
	state, ok := stateOf(err)
	switch news := m.vitals.set(name, causeOf(name, err), ok, state); {
	case news && !ok:
		m.config.Log.Error("not ready", "part", name, "state", state, "err", err, "hint", l.hint)
	case news:
		m.config.Log.Info("ready", "part", name, "state", state)
	}
}

// stateOf returns the words for the result of a check.
func stateOf(err error) (state string, ok bool) {
	var limited *forge.RateLimited
	switch {
	case err == nil:
		return "works", true
	case errors.As(err, &limited):
		return "limits calls", true // so it has accepted the credential
	case errors.Is(err, disk.ErrFull):
		return "disk full", false
	case errors.Is(err, forge.ErrUnauthorized):
		return "credential is not accepted", false
	case errors.Is(err, forge.ErrUnavailable), errors.Is(err, docker.ErrNoEngine), errors.Is(err, context.DeadlineExceeded):
		return "does not answer", false
	}
	return "fails", false
}

// causeOf returns what a part that fails with err means for a job that waits.
func causeOf(part string, err error) why.Cause {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, disk.ErrFull):
		return why.DiskFull
	case part == partLauncher:
		return why.EngineDown
	case part == partForge:
		return pipeline.Blame(err).Cause
	}
	return ""
}

// probeLauncher pings the engine; a sandbox needs no daemon.
func (m *Machine) probeLauncher(ctx context.Context) error {
	if m.engine == nil {
		return nil
	}
	_, err := docker.Find(ctx, m.engineSocket)
	return err
}
