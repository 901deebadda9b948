package githubsim

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Runner is a registered runner as it was when asked for.
type Runner struct {
	ID        int64
	Name      string
	Scope     string // as in the REST API: repos/acme/web, orgs/acme, enterprises/acme-corp
	Labels    []string
	GroupID   int64
	Group     string
	Ephemeral bool // takes one job, then is gone
	JIT       bool // registered by a JIT configuration
	Online    bool
	Busy      bool
	Job       int64 // of a busy runner
	OS        string
	Version   string
	Created   time.Time
}

// A runner is a registered runner.
type runner struct {
	Runner
	scope    scope
	key      *rsa.PublicKey
	clientID string
	session  string        // "" without one
	job      *job          // given to it; nil if idle
	outbox   []message     // messages it has yet to get
	wake     chan struct{} // of size 1: something for its poll
	messages int64         // so far
	seen     time.Time     // of its last poll
	spent    time.Time     // when its one job ended; zero before

	idle      time.Duration // how long it may idle; 0: no limit
	connected time.Time     // when its session began
	refreshed string        // the session in which it was told to update itself
}

// nameKey: a name is taken once in a scope, ignoring case.
type nameKey struct {
	scope scope
	name  string
}

// A group is a runner group of an organisation or the enterprise. Group 1, the
// default one, is everywhere.
type group struct {
	id         int64
	name       string
	visibility string
	public     bool
}

const defaultGroup = "Default"

// group returns the name of the group that id has in sc.
func (s *Sim) group(sc scope, id int64) (string, bool) {
	if id == 1 {
		return defaultGroup, true
	}
	for _, g := range s.groups[sc] {
		if g.id == id {
			return g.name, true
		}
	}
	return "", false
}

// errTaken says that a scope has a runner of that name.
var errTaken = fmt.Errorf("a runner of that name exists")

// register adds r, which has its name, labels, group and key. The caller holds mu.
func (s *Sim) register(r *runner) error {
	key := nameKey{r.scope, strings.ToLower(r.Name)}
	if s.names[key] != nil {
		return errTaken
	}
	r.ID, r.clientID, r.wake = s.nextID(), newUUID(), make(chan struct{}, 1)
	r.Scope, r.Created = r.scope.path(s.cfg.Enterprise), s.now()
	if r.JIT {
		r.idle = max(s.idleLimit(), 0)
	}
	s.names[key], s.runners[r.ID], s.clients[r.clientID] = r, r, r
	s.announceRunner(r, RunnerRegistered)
	return nil
}

// remove forgets r: its name is free and its credentials are spent. The caller
// holds mu.
func (s *Sim) remove(r *runner) {
	delete(s.names, nameKey{r.scope, strings.ToLower(r.Name)})
	delete(s.runners, r.ID)
	delete(s.clients, r.clientID)
	delete(s.waiting, r)
	r.session = ""
	r.nudge()
	s.announceRunner(r, RunnerRemoved)
}

// nudge wakes r's poll, if there is one.
func (r *runner) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// fits reports whether r may run j. Labels and groups ignore case.
// https://docs.github.com/en/actions/reference/runners/self-hosted-runners
func (r *runner) fits(j *job) bool {
	if !r.scope.covers(j.run.repo) || j.Group != "" && !strings.EqualFold(j.Group, r.Group) {
		return false
	}
	for _, l := range j.Labels {
		if !slices.ContainsFunc(r.Labels, func(m string) bool { return strings.EqualFold(l, m) }) {
			return false
		}
	}
	return true
}

// shape gives r as the REST API does.
func (r *runner) shape() object {
	labels := []object{}
	for i, l := range r.Labels {
		labels = append(labels, object{"id": i + 1, "name": l, "type": "custom"})
	}
	status := "offline"
	if r.Online {
		status = "online"
	}
	return object{
		"id": r.ID, "name": r.Name, "os": r.OS, "status": status, "busy": r.Busy,
		"labels": labels, "runner_group_id": r.GroupID, "ephemeral": r.Ephemeral,
	}
}
