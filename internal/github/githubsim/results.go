package githubsim

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxLog is how much of one log is kept, in bytes; what comes after is refused.
const maxLog = 64 << 20

// A blob is a log, or a summary, as its runner uploads it.
type blob struct {
	signature string // that its address carries; who has it may write
	kind      blobKind
	step      string // the step's id as the runner knows it; "" of a job's log
	data      bytes.Buffer
}

type blobKind int

const (
	stepLog blobKind = iota
	jobLog
	otherBlob // summaries and diagnostics
)

// resultRoutes are what a runner calls to report steps and logs: Twirp over
// JSON, and uploads as to an Azure blob.
// https://github.com/actions/runner/blob/main/src/Sdk/WebApi/WebApi/ResultsHttpClient.cs
func (s *Sim) resultRoutes() {
	s.mux.HandleFunc("POST "+pathResults+"/twirp/{service}/{method}", s.answer(s.results))
	s.mux.HandleFunc("PUT "+pathBlob+"/{id}", s.upload)
}

// A resultsCall holds what of the bodies of the results service is read.
type resultsCall struct {
	Job   string       `json:"workflow_job_run_backend_id"`
	Step  string       `json:"step_backend_id"`
	Steps []updateStep `json:"steps"`
}

// An updateStep is a step in WorkflowStepsUpdate; its numbers are the service's own.
type updateStep struct {
	stepResult
	Status     int `json:"status"`     // 3 in progress, 6 completed
	Conclusion int `json:"conclusion"` // 2 success, 3 failure, 4 cancelled, 7 skipped
}

func (s *Sim) results(c call) reply {
	j := s.accessJob(c.Request)
	if j == nil {
		return refusal(http.StatusUnauthorized, "Bad credentials")
	}
	var in resultsCall
	if !c.decode(&in) {
		return badJSON()
	}
	switch method := c.PathValue("method"); method {
	case "GetStepLogsSignedBlobURL":
		return s.signedBlob(c, j, "logs_url", &blob{kind: stepLog, step: in.Step})
	case "GetJobLogsSignedBlobURL":
		return s.signedBlob(c, j, "logs_url", &blob{kind: jobLog})
	case "GetStepSummarySignedBlobURL":
		return s.signedBlob(c, j, "summary_url", &blob{kind: otherBlob})
	case "GetJobDiagLogsSignedBlobURL":
		return s.signedBlob(c, j, "diag_logs_url", &blob{kind: otherBlob})
	case "WorkflowStepsUpdate":
		j.updateSteps(results(in.Steps))
		s.announceSteps(j)
	}
	return ok(object{"ok": true})
}

// results turns the service's numbers into names.
func results(steps []updateStep) []stepResult {
	statuses := map[int]string{3: StatusInProgress, 6: StatusCompleted}
	conclusions := map[int]string{2: Success, 3: Failure, 4: Cancelled, 7: Skipped}
	var out []stepResult
	for _, st := range steps {
		r := st.stepResult
		r.Status, r.Conclusion = statuses[st.Status], conclusions[st.Conclusion]
		out = append(out, r)
	}
	return out
}

// signedBlob makes an address that b can be written to. One asked for again, for
// the same log, is the same.
func (s *Sim) signedBlob(c call, j *job, field string, b *blob) reply {
	id := fmt.Sprintf("%s-%d-%s", j.guid, b.kind, strings.Map(plainRune, b.step))
	if known := s.blobs[id]; known != nil {
		b = known
	} else {
		b.signature = rand.Text()
		s.blobs[id] = b
		j.logs = append(j.logs, b)
	}
	return ok(object{
		field: c.web + pathBlob + "/" + id + "?sig=" + b.signature, "blob_storage_type": "BLOB_STORAGE_TYPE_AZURE", "soft_size_limit": maxLog,
	})
}

func plainRune(r rune) rune {
	if r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '_'
}

// upload takes a block of a log. As with Azure, a whole blob replaces what was
// there, and a block of an append blob is added.
// https://learn.microsoft.com/en-us/rest/api/storageservices/append-block
func (s *Sim) upload(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLog))
	writeReply(w, s.locked(func() reply {
		b := s.blobs[r.PathValue("id")]
		if b == nil || subtle.ConstantTimeCompare([]byte(b.signature), []byte(r.URL.Query().Get("sig"))) != 1 {
			return refusal(http.StatusForbidden, "Server failed to authenticate the request")
		}
		switch {
		case err != nil || b.data.Len()+len(data) > maxLog:
			return refusal(http.StatusRequestEntityTooLarge, "The request body is too large")
		case r.URL.Query().Get("comp") != "appendblock" && !plainAppend(r):
			b.data.Reset()
		}
		b.data.Write(data)
		return reply{code: http.StatusCreated}
	}))
}

// plainAppend reports whether r has neither Azure's type nor its operation: some
// runners send each part of a log as a bare PUT.
func plainAppend(r *http.Request) bool { return r.Header.Get("x-ms-blob-type") == "" }

// logText gives the log of j: the job's own, or the steps' one after the other.
// The caller holds mu.
func (j *job) logText() string {
	var steps strings.Builder
	for _, b := range j.logs {
		switch {
		case b.kind == jobLog && b.data.Len() > 0:
			return b.data.String()
		case b.kind == stepLog:
			steps.Write(b.data.Bytes())
		}
	}
	return steps.String()
}
