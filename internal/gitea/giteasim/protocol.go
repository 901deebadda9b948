package giteasim

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	runnerv1 "code.gitea.io/actions-proto-go/runner/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// maxBody bounds a request, in bytes: the lines of a log are the longest.
const maxBody = 8 << 20

// service is where runners call.
// https://gitea.com/gitea/actions-proto-def/src/branch/main/proto/runner/v1/services.proto
const service = "/api/actions/runner.v1.RunnerService/"

// unary serves one call of the protocol, as Connect has it: a message in, a message out.
// https://connectrpc.com/docs/protocol/#unary-request
func unary[In any, Out any, PIn interface {
	*In
	proto.Message
}, POut interface {
	*Out
	proto.Message
}](s *Sim, answer func(*runner, PIn) POut) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in := PIn(new(In))
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil && r.Header.Get("Content-Type") == "application/proto" {
			err = proto.Unmarshal(body, in)
		}
		if err != nil || r.Header.Get("Content-Type") != "application/proto" {
			refuse(w, http.StatusUnsupportedMediaType, "unknown", "want a message of protocol buffers")
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		from, err := s.runnerBy(r)
		if err != nil {
			refuse(w, http.StatusUnauthorized, "unauthenticated", err.Error())
			return
		}
		out, err := proto.Marshal(answer(from, in))
		if err != nil {
			refuse(w, http.StatusInternalServerError, "internal", err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/proto")
		w.Write(out)
	}
}

// refuse answers as Connect does. https://connectrpc.com/docs/protocol/#error-end-stream
func refuse(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]string{"code": code, "message": message})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // the other end is gone when it fails
}

// register is the one call that has no runner yet, in JSON.
func (s *Sim) register(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Name, Token string
		Labels      []string
		Ephemeral   bool
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil || in.Name == "" || in.Token == "" {
		refuse(w, http.StatusBadRequest, "invalid_argument", "missing runner token, name")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Token != s.registration {
		refuse(w, http.StatusInternalServerError, "internal", "runner registration token not found")
		return
	}
	made := s.addRunner(in.Name, in.Labels, in.Ephemeral)
	answer(w, http.StatusOK, map[string]any{"runner": map[string]any{
		"id": strconv.FormatInt(made.id, 10), "uuid": made.uuid, "token": made.token, "name": made.name, "labels": made.labels, "ephemeral": made.ephemeral,
	}})
}

func declare(from *runner, in *runnerv1.DeclareRequest) *runnerv1.DeclareResponse {
	from.labels = in.Labels
	return &runnerv1.DeclareResponse{Runner: &runnerv1.Runner{
		Id: from.id, Uuid: from.uuid, Token: from.token, Name: from.name, Version: in.Version, Labels: in.Labels,
	}}
}

// fetch gives the job to a runner that has its labels, letter by letter.
func (s *Sim) fetch(from *runner, _ *runnerv1.FetchTaskRequest) *runnerv1.FetchTaskResponse {
	res := &runnerv1.FetchTaskResponse{TasksVersion: 1}
	lacks := func(label string) bool { return !slices.Contains(from.labels, label) }
	if s.state != "queued" || from.disabled || slices.ContainsFunc(s.config.Labels, lacks) {
		return res
	}
	s.state, s.runnerID, s.ranOn, s.attempt = "in_progress", from.id, from.name, s.attempt+1
	s.tell("in_progress")
	payload := []byte(s.config.Workflow)
	owner, _, _ := strings.Cut(s.config.Repository, "/")
	context, _ := structpb.NewStruct(map[string]any{ // of strings only, which cannot fail
		"event": map[string]any{}, "event_name": "push", "job": JobName, "run_id": "1", "run_number": "1", "run_attempt": "1",
		"ref": "refs/heads/main", "ref_name": "main", "ref_type": "branch", "sha": strings.Repeat("0", 40),
		"repository": s.config.Repository, "repository_owner": owner, "actor": owner, "workflow": "canary.yml",
		"server_url": s.address, "api_url": s.address + "/api/v1", "gitea_default_actions_url": s.address, "token": s.token, "gitea_runtime_token": s.token,
	})
	res.Task = &runnerv1.Task{
		Id: jobID, WorkflowPayload: payload, Context: context, Secrets: map[string]string{"GITEA_TOKEN": s.token, "GITHUB_TOKEN": s.token},
	}
	return res
}

// conclusions are GitHub's words for results.
var conclusions = map[runnerv1.Result]string{
	runnerv1.Result_RESULT_SUCCESS: "success", runnerv1.Result_RESULT_FAILURE: "failure",
	runnerv1.Result_RESULT_CANCELLED: "cancelled", runnerv1.Result_RESULT_SKIPPED: "skipped",
}

// update takes how the job goes. With its end an ephemeral runner is gone.
func (s *Sim) update(from *runner, in *runnerv1.UpdateTaskRequest) *runnerv1.UpdateTaskResponse {
	conclusion, over := conclusions[in.State.GetResult()]
	if over && s.state == "in_progress" && from.id == s.runnerID {
		s.state, s.result = "completed", conclusion
		if from.ephemeral {
			delete(s.runners, from.id)
		}
		close(s.completed)
	}
	return &runnerv1.UpdateTaskResponse{State: &runnerv1.TaskState{Id: in.State.GetId(), Result: in.State.GetResult()}}
}

// keep takes lines of the job's log that it does not have.
func (s *Sim) keep(from *runner, in *runnerv1.UpdateLogRequest) *runnerv1.UpdateLogResponse {
	have := int64(len(s.log))
	if from.id == s.runnerID && in.Index <= have && in.Index+int64(len(in.Rows)) > have {
		for _, row := range in.Rows[have-in.Index:] {
			s.log = append(s.log, row.Content)
		}
	}
	return &runnerv1.UpdateLogResponse{AckIndex: int64(len(s.log))}
}
