package giteasim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	runnerv1 "code.gitea.io/actions-proto-go/runner/v1"
)

// handler routes what Mayfly and the runner ask.
func (s *Sim) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+service+"Register", s.register)
	mux.Handle("POST "+service+"Declare", unary[runnerv1.DeclareRequest, runnerv1.DeclareResponse](s, declare))
	mux.Handle("POST "+service+"FetchTask", unary[runnerv1.FetchTaskRequest, runnerv1.FetchTaskResponse](s, s.fetch))
	mux.Handle("POST "+service+"UpdateTask", unary[runnerv1.UpdateTaskRequest, runnerv1.UpdateTaskResponse](s, s.update))
	mux.Handle("POST "+service+"UpdateLog", unary[runnerv1.UpdateLogRequest, runnerv1.UpdateLogResponse](s, s.keep))
	at := "/api/v1/repos/" + s.config.Repository + "/actions/"
	for pattern, serve := range map[string]func(*http.Request) (int, any){
		"GET /api/v1/user":                          func(*http.Request) (int, any) { return http.StatusOK, map[string]string{"login": "canary"} },
		"POST " + at + "runners/registration-token": func(*http.Request) (int, any) { return http.StatusOK, map[string]string{"token": s.registration} },
		"GET " + at + "runners":                     func(*http.Request) (int, any) { return http.StatusOK, s.listRunners() },
		"PATCH " + at + "runners/{id}":              s.disable,
		"DELETE " + at + "runners/{id}":             s.remove,
		"GET " + at + "jobs":                        func(r *http.Request) (int, any) { return http.StatusOK, s.listJobs(r.FormValue("status")) },
		"GET " + at + fmt.Sprint("jobs/", jobID):    func(*http.Request) (int, any) { return http.StatusOK, s.job() },
	} {
		mux.HandleFunc(pattern, s.api(serve))
	}
	return mux
}

// api serves a call of the API, which needs the token.
func (s *Sim) api(serve func(*http.Request) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "token "+s.token {
			answer(w, http.StatusUnauthorized, map[string]string{"message": "invalid username, password or token"})
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		status, v := serve(r)
		answer(w, status, v)
	}
}

// addRunner registers one.
func (s *Sim) addRunner(name string, labels []string, ephemeral bool) *runner {
	made := &runner{id: s.next, uuid: rand.Text(), token: rand.Text(), name: name, labels: labels, ephemeral: ephemeral}
	s.next++
	s.runners[made.id] = made
	return made
}

func (s *Sim) listRunners() any {
	all := []map[string]any{}
	for _, r := range s.runners {
		labels := []map[string]string{}
		for _, l := range r.labels {
			labels = append(labels, map[string]string{"name": l})
		}
		all = append(all, map[string]any{"id": r.id, "name": r.name, "status": "online", "busy": r.id == s.runnerID, "labels": labels})
	}
	return map[string]any{"runners": all, "total_count": len(all)}
}

// runnerOf returns the runner that a path names; nil when there is none.
func (s *Sim) runnerOf(r *http.Request) *runner {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64) // what is no number is no runner's
	return s.runners[id]
}

var notFound = map[string]string{"message": "not found"}

func (s *Sim) disable(r *http.Request) (int, any) {
	one := s.runnerOf(r)
	if one == nil {
		return http.StatusNotFound, notFound
	}
	one.disabled = true
	return http.StatusOK, map[string]any{"id": one.id}
}

func (s *Sim) remove(r *http.Request) (int, any) {
	one := s.runnerOf(r)
	if one == nil {
		return http.StatusNotFound, notFound
	}
	delete(s.runners, one.id)
	return http.StatusNoContent, nil
}

func (s *Sim) listJobs(status string) any {
	all := []any{}
	if s.state == status {
		all = append(all, s.job())
	}
	return map[string]any{"jobs": all, "total_count": len(all)}
}

// job is the job as API and deliveries tell of it: what it has not is absent, and times are 1970.
func (s *Sim) job() map[string]any {
	at := s.address + "/api/v1/repos/" + s.config.Repository + "/actions/"
	j := map[string]any{
		"id": jobID, "url": fmt.Sprint(at, "jobs/", jobID), "html_url": s.address + "/" + s.config.Repository + "/actions/runs/1/jobs/0",
		"run_id": 1, "run_url": at + "runs/1", "name": JobName, "labels": s.config.Labels, "run_attempt": s.attempt, "status": s.state,
		"created_at": time.Now().UTC().Format(time.RFC3339), "started_at": "1970-01-01T00:00:00Z", "completed_at": "1970-01-01T00:00:00Z",
	}
	if s.runnerID != 0 {
		j["runner_id"], j["runner_name"], j["started_at"] = s.runnerID, s.ranOn, j["created_at"]
	}
	if s.result != "" {
		j["conclusion"], j["completed_at"] = s.result, j["created_at"]
	}
	return j
}

// payload is that of a delivery.
func (s *Sim) payload(action string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"action": action, "workflow_job": s.job(),
		"repository": map[string]any{"id": 1, "name": "canary", "full_name": s.config.Repository, "private": true},
		"sender":     map[string]any{"id": 1, "login": "canary"},
	})
}

// tell delivers aside, from under mu: a delivery that is lost is made good by asking for jobs.
func (s *Sim) tell(action string) {
	body, err := s.payload(action)
	if err == nil {
		go send(context.Background(), s.hook, s.secret.Reveal(), body)
	}
}

// deliver delivers, and returns when it was taken.
func (s *Sim) deliver(ctx context.Context, action string) error {
	s.mu.Lock()
	body, err := s.payload(action)
	hook, key := s.hook, s.secret.Reveal()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return send(ctx, hook, key, body)
}

// send makes a delivery, signed as GitHub's are.
func send(ctx context.Context, hook, key string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "workflow_job", "X-GitHub-Delivery": rand.Text(),
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
	} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("delivering to %s: %w", hook, err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 300)) // what cannot be read says nothing
		return fmt.Errorf("delivering to %s: %s: %s", hook, res.Status, text)
	}
	return nil
}
