package githubsim

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// brokerRoutes are what a runner calls to hear of jobs.
// https://github.com/actions/runner/blob/main/src/Sdk/WebApi/WebApi/BrokerHttpClient.cs
func (s *Sim) brokerRoutes() {
	s.mux.HandleFunc("POST "+pathToken, s.issueAccess)
	s.mux.HandleFunc("POST "+pathBroker+"/session", s.onBroker(s.openSession))
	s.mux.HandleFunc("DELETE "+pathBroker+"/session", s.answer(s.closeSession))
	s.mux.HandleFunc("GET "+pathBroker+"/message", s.message)
	s.mux.HandleFunc("POST "+pathBroker+"/acknowledge", s.onBroker(s.acknowledge))
}

// brokerRefusal words an error as the broker does.
func brokerRefusal(code int, kind, message string) reply {
	return reply{code: code, body: object{"source": "actions-broker-listener", "statusCode": code, "errorKind": kind, "errorMessage": message}}
}

// noAccess is the answer to an invalid access token; a runner then requests another one.
func noAccess() reply {
	return brokerRefusal(http.StatusUnauthorized, "Unauthorized", "the access token is not good: want one of a runner, not expired")
}

// notRegistered is what a runner hears that was removed: it forgets its configuration and ends.
func notRegistered(r *runner) reply {
	return brokerRefusal(http.StatusNotFound, "RunnerNotFound", "Runner "+r.Name+" is not registered.")
}

// onBroker answers for runners that are registered.
func (s *Sim) onBroker(h func(call, *runner) reply) http.HandlerFunc {
	return s.answer(func(c call) reply {
		r := s.known(c.Request)
		switch {
		case r == nil:
			return noAccess()
		case !s.registered(r):
			return notRegistered(r)
		}
		return h(c, r)
	})
}

// openSession begins the one session that a runner may have.
func (s *Sim) openSession(c call, r *runner) reply {
	in := object{}
	if !c.decode(&in) {
		return badJSON()
	}
	if r.session != "" && s.now().Sub(r.seen) < s.sessionLife() {
		return brokerRefusal(http.StatusConflict, "TaskAgentSessionConflict", "the runner has a session already")
	}
	if agent, isObject := in["agent"].(object); isObject {
		r.Version, _ = agent["version"].(string) // for display; a runner may say nothing
	}
	r.OS = "Linux"
	r.session, r.seen, r.connected, r.Online = newUUID(), s.now(), s.now(), true
	delete(in, "SessionID") // some runners send it so
	in["sessionId"] = r.session
	s.announceRunner(r, RunnerOnline)
	return ok(in)
}

// sessionLife is how long a session lasts without a poll.
func (s *Sim) sessionLife() time.Duration { return 2 * s.cfg.Poll }

// closeSession ends the session; that of a runner which has gone has ended already.
func (s *Sim) closeSession(c call) reply {
	r := s.known(c.Request)
	if r == nil {
		return noAccess()
	}
	if s.registered(r) {
		s.endSession(r)
	}
	return noContent()
}

// endSession puts r offline; a job that it has not begun goes to another. The
// caller holds mu.
func (s *Sim) endSession(r *runner) {
	r.session, r.Online = "", false
	delete(s.waiting, r)
	if r.job != nil && r.job.Status == StatusQueued {
		s.takeBack(r)
	}
	r.nudge()
	s.announceRunner(r, RunnerOffline)
}

// message is the long poll: it answers as soon as there is something for the
// runner, and 202 when there was nothing for a while.
func (s *Sim) message(w http.ResponseWriter, r *http.Request) {
	timer := time.NewTimer(s.cfg.Poll)
	defer timer.Stop()
	for {
		rep, wake := s.nextMessage(call{Request: r, web: s.base(r)})
		if wake == nil {
			writeReply(w, rep)
			return
		}
		select {
		case <-wake:
			continue
		case <-timer.C:
			rep = reply{code: http.StatusAccepted}
		case <-r.Context().Done():
			rep = reply{code: http.StatusNoContent} // nobody reads it
		}
		s.stopWaiting(call{Request: r})
		writeReply(w, rep)
		return
	}
}

// nextMessage replies with what there is for the caller, or gives the channel
// that says when to look again.
func (s *Sim) nextMessage(c call) (reply, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.known(c.Request)
	switch {
	case r == nil:
		return noAccess(), nil
	case r.leaving(s.now()):
		return reply{}, r.wake // until its poll ends: it is about to stop by itself
	case !s.registered(r):
		return notRegistered(r), nil
	}
	session := c.URL.Query().Get("sessionId")
	if r.session == "" || session != r.session {
		return brokerRefusal(http.StatusUnauthorized, "RunnerSessionInvalid", "Session "+session+" is not the runner's."), nil
	}
	r.seen = s.now()
	if version := first(c.URL.Query().Get("runnerVersion"), r.Version); s.past(s.endsOf(version).runtime) && r.job == nil {
		return tooOld(version), nil
	}
	if len(r.outbox) == 0 {
		s.refresh(r, c)
	}
	if len(r.outbox) == 0 && r.job == nil {
		s.take(r)
	}
	if len(r.outbox) == 0 {
		if r.job == nil {
			s.waiting[r] = true
		}
		return reply{}, r.wake
	}
	m := r.outbox[0]
	r.outbox = r.outbox[1:]
	return ok(m.addressed(c.web)), nil
}

func (s *Sim) stopWaiting(c call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.caller(c.Request); r != nil {
		delete(s.waiting, r)
		r.seen = s.now()
	}
}

// leaving reports whether r has just done its one job. Its runner ends without another
// word from here; told that it is gone, it would report that as an error.
func (r *runner) leaving(now time.Time) bool { return !r.spent.IsZero() && now.Sub(r.spent) < afterJob }

// acknowledge takes note that a runner has heard of its job. One that is another's by
// now it must not begin.
func (s *Sim) acknowledge(c call, r *runner) reply {
	var in struct {
		ID string `json:"runnerRequestId"`
	}
	switch {
	case !c.decode(&in):
		return badJSON()
	case r.session == "" || c.URL.Query().Get("sessionId") != r.session:
		return brokerRefusal(http.StatusUnauthorized, "RunnerSessionInvalid", "the session is not the runner's")
	case r.job == nil || r.job.guid != in.ID:
		return brokerRefusal(http.StatusNotFound, "AcknowledgeJobNotFound", "Job "+in.ID+" is not the runner's.")
	}
	return reply{code: http.StatusOK}
}

// A message is one that waits for its runner.
type message struct {
	id   int64
	kind string
	body object
}

// The kinds of messages.
const (
	messageJob     = "RunnerJobRequest"
	messageCancel  = "JobCancellation"
	messageRefresh = "RunnerRefresh"
)

// post leaves a message for r. The caller holds mu.
func (r *runner) post(kind string, body object) {
	r.messages++
	r.outbox = append(r.outbox, message{r.messages, kind, body})
	r.nudge()
}

// addressed gives m as the runner gets it that knows us as web: the body is JSON
// inside JSON.
func (m message) addressed(web string) object {
	body := merged(m.body, nil)
	switch m.kind {
	case messageJob:
		body["run_service_url"] = fmt.Sprint(web, pathRun, "/", body["id"])
	case messageRefresh:
		body["download_url"] = fmt.Sprint(web, body["download_url"])
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // texts and booleans only
	}
	return object{"messageId": m.id, "messageType": m.kind, "body": string(text)}
}

// newUUID returns a random UUID.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	return uuidOf(b)
}

// uuidOf gives bytes as a UUID.
func uuidOf(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
