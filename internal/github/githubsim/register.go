package githubsim

import (
	"net/http"
	"net/url"
	"runtime"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/jit"
)

// Addresses for registered runners, which learn them from the answers to their registration.
const (
	pathTenant  = "/_runner/tenant"
	pathBroker  = "/_runner/broker"
	pathToken   = "/_runner/token"
	pathRun     = "/_runner/run"
	pathResults = "/_runner/results"
	pathBlob    = "/_runner/blob"
)

// registerRoutes are what config.sh of a runner calls.
// https://github.com/actions/runner/blob/main/src/Runner.Listener/Configuration/ConfigurationManager.cs
func (s *Sim) registerRoutes() {
	s.mux.HandleFunc("POST /actions/runner-registration", s.answer(s.runnerRegistration))
	s.mux.HandleFunc("POST /actions/runners/register", s.answer(s.registerRunner))
	s.mux.HandleFunc("GET "+pathTenant+"/_apis/connectionData", s.answer(s.connectionData))
	s.mux.HandleFunc("POST "+pathTenant+"/sessions/{pool}", s.answer(s.tenantSession))
}

// answer runs h under mu and writes what it replies.
func (s *Sim) answer(h func(call) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		writeReply(w, s.locked(func() reply { return h(call{Request: r, web: s.base(r)}) }))
	}
}

// runnerRegistration tells a runner with a registration or remove token of its
// service. Any other token finds nothing, as at GitHub.
func (s *Sim) runnerRegistration(c call) reply {
	reg, found := s.registration(c.Request)
	var in struct {
		URL   string `json:"url"`
		Event string `json:"runner_event"`
	}
	if !found || !c.decode(&in) || in.URL != "" && s.scopeOf(in.URL) != reg.scope || in.Event == "register" && reg.remove {
		return notFound()
	}
	return ok(object{"url": c.web + pathTenant, "token_schema": "OAuthAccessToken", "token": bearer(c.Request), "use_v2_flow": true})
}

// noScope is the scope of nothing.
var noScope = scope{repo: &repository{}}

// scopeOf gives the scope whose page is at address. The caller holds mu.
func (s *Sim) scopeOf(address string) scope {
	u, err := url.Parse(address)
	if err != nil {
		return noScope
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case len(parts) == 2 && parts[0] == "enterprises" && strings.EqualFold(parts[1], s.cfg.Enterprise):
		return scope{}
	case len(parts) == 2:
		if repo := s.repository(strings.Join(parts, "/")); repo != nil {
			return scope{repo: repo}
		}
	case len(parts) == 1:
		if owner := s.accounts[strings.ToLower(parts[0])]; owner != nil && !owner.user {
			return scope{owner: owner}
		}
	}
	return noScope
}

// A newRunner is what a runner registers with.
type newRunner struct {
	Name      string `json:"name"`
	GroupID   int64  `json:"group_id"`
	Version   string `json:"version"`
	Ephemeral bool   `json:"ephemeral"`
	PublicKey string `json:"public_key"` // XML
	Replace   bool   `json:"replace"`
	RunnerID  int64  `json:"runner_id"` // of the runner to replace
	Labels    []struct {
		Name string `json:"name"`
	} `json:"labels"`
}

func (s *Sim) registerRunner(c call) reply {
	reg, found := s.registration(c.Request)
	if !found || reg.remove {
		return refusal(http.StatusUnauthorized, "Bad credentials")
	}
	var in newRunner
	if !c.decode(&in) {
		return badJSON()
	}
	key, err := jit.ParsePublicKey(in.PublicKey)
	if err != nil {
		return unprocessable("Invalid request", err.Error())
	}
	if in.GroupID == 0 {
		in.GroupID = 1
	}
	group := s.group(reg.scope, in.GroupID)
	if in.Name == "" || len(in.Name) > 64 || len(in.Labels) > 100 || group == nil {
		return unprocessable("Invalid request", "want a name of 1 to 64 characters, up to 100 labels and a runner group")
	}
	r := &runner{scope: reg.scope, key: key, Runner: Runner{
		Name: in.Name, GroupID: in.GroupID, Group: group.name, Ephemeral: in.Ephemeral, OS: runtime.GOOS, Version: in.Version,
	}}
	for _, l := range in.Labels {
		r.Labels = append(r.Labels, l.Name)
	}
	if s.past(s.endsOf(in.Version).registration) {
		return refusal(http.StatusForbidden, "Runner version v"+in.Version+" is deprecated and cannot be registered.")
	}
	s.replace(reg.scope, in)
	if err := s.register(r); err != nil {
		return refusal(http.StatusConflict, "Already exists - A runner with the name *** already exists.")
	}
	return ok(object{"id": r.ID, "name": r.Name, "authorization": object{
		"authorization_url": c.web + pathToken, "server_url": c.web + pathBroker + "/", "client_id": r.clientID,
	}})
}

// replace removes the idle runner whose place the new one asks for.
func (s *Sim) replace(sc scope, in newRunner) {
	old := s.names[nameKey{sc, strings.ToLower(in.Name)}]
	if old == nil || old.Busy || !in.Replace && in.RunnerID != old.ID {
		return
	}
	s.remove(old)
}

// connectionData and tenantSession are the first protocol, as far as it takes to
// be handed over to the broker.
func (s *Sim) connectionData(call) reply {
	return ok(object{"locationServiceData": object{"serviceDefinitions": []object{{
		"serviceType": "distributedtask", "identifier": "134e239e-2df3-4794-a6f6-24f1f19ec8dc", "displayName": "sessions",
		"relativeToSetting": "context", "relativePath": "/sessions/{poolId}/{sessionId}",
		"resourceVersion": 1, "minVersion": "1.0", "maxVersion": "6.0",
	}}}})
}

func (s *Sim) tenantSession(c call) reply {
	r := s.caller(c.Request)
	if r == nil {
		return refusal(http.StatusUnauthorized, "Bad credentials")
	}
	return ok(object{"brokerMigrationMessage": object{"brokerBaseUrl": c.web + pathBroker}, "ownerName": r.Name})
}
