package githubsim

import (
	"context"
	"net/http"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
)

// controlRoutes are for tests with a Sim in another process: faults and
// state over HTTP, with one of Config.Tokens.
func (s *Sim) controlRoutes() {
	s.asTester("POST /_sim/faults", s.addFault)
	s.asTester("GET /_sim/faults", func(call) reply { return ok(s.faults.Rules()) })
	s.asTester("DELETE /_sim/faults", func(call) reply { s.faults.Clear(); return noContent() })
	s.asTester("DELETE /_sim/faults/{id}", s.removeFault)
	s.asTester("GET /_sim/deliveries", func(call) reply { return ok(s.hooks.Faults()) })
	s.asTester("PUT /_sim/deliveries", s.putDeliveryFaults)
	s.asTester("GET /_sim/runs", func(call) reply { return ok(s.runSnapshots()) })
	s.asTester("PUT /_sim/updates", s.setUpdates)
	s.asTester("GET /_sim/jobs", func(call) reply { return ok(s.snapshots()) })
	s.asTester("GET /_sim/jobs/{id}/log", func(c call) reply {
		j := s.jobs[c.id("id")]
		if j == nil {
			return notFound()
		}
		return ok(object{"log": j.logText()})
	})
}

// asTester adds a route for holders of one of Config.Tokens. It does not count against the rate limit.
func (s *Sim) asTester(pattern string, h handler) {
	s.mux.HandleFunc(pattern, s.answer(func(c call) reply {
		if !s.tests(c.Request) {
			return unauthorized(c.Request)
		}
		return h(c)
	}))
}

func (s *Sim) tests(r *http.Request) bool {
	cred := s.credential(r)
	return cred != nil && cred.admin
}

// Faults gives the rules by which REST calls and those of runners misbehave. Paths
// are without /api/v3.
func (s *Sim) Faults() *fault.Set { return s.faults }

// SetDeliveryFaults puts f in force for webhook deliveries from now on.
func (s *Sim) SetDeliveryFaults(f hook.Faults) { s.hooks.SetFaults(f) }

// WaitDelivered blocks until every webhook delivery so far has ended.
func (s *Sim) WaitDelivered(ctx context.Context) error { return s.hooks.Wait(ctx) }

func (s *Sim) addFault(c call) reply {
	var rule fault.Rule
	if !c.decode(&rule) {
		return badJSON()
	}
	id, err := s.faults.Add(rule)
	if err != nil {
		return unprocessable(err.Error())
	}
	return created(object{"id": id})
}

func (s *Sim) removeFault(c call) reply {
	if !s.faults.Remove(c.id("id")) {
		return notFound()
	}
	return noContent()
}

func (s *Sim) putDeliveryFaults(c call) reply {
	var f hook.Faults
	if !c.decode(&f) {
		return badJSON()
	}
	s.hooks.SetFaults(f)
	return noContent()
}
