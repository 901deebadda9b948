package githubsim_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const twirpReceiver = "twirp/results.services.receiver.Receiver/"

// report makes one call of the results service about a job.
func (j *begunJob) report(method string, more map[string]any) answer {
	j.w.t.Helper()
	in := map[string]any{"workflow_run_backend_id": j.at("plan", "planId"), "workflow_job_run_backend_id": j.at("jobId")}
	for k, v := range more {
		in[k] = v
	}
	return j.w.call("Bearer "+j.access(), "POST", j.variable("system.github.results_endpoint")+method, in)
}

// logAddress asks where a step's log goes.
func (j *begunJob) logAddress(step string) string {
	j.w.t.Helper()
	a := j.report(twirpReceiver+"GetStepLogsSignedBlobURL", map[string]any{"step_backend_id": step})
	address, _ := a.body["logs_url"].(string)
	if a.code != http.StatusOK || address == "" || a.body["soft_size_limit"] != "1048576" {
		j.w.t.Fatalf("signed URL: %d %s", a.code, a.text)
	}
	return address
}

// put sends something to a blob and gives the code of its refusal.
func put(t *testing.T, address, kind string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequest("PUT", address, body)
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("x-ms-blob-type", kind)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	code := res.Header.Get("x-ms-error-code")
	if code != "" && !strings.Contains(string(text), "<Code>"+code+"</Code>") {
		t.Errorf("the body of %s is %q", code, text)
	}
	return res.StatusCode, code
}

func TestBlobsAreAsAtAzure(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	j := w.begin("linux", "x64")
	address := j.logAddress("s1")
	block, sealing := address+"&comp=appendblock", address+"&comp=appendblock&seal=true"
	for i, c := range []struct {
		address, kind, body string
		status              int
		code                string
	}{
		{block, "", "a", 404, "BlobNotFound"},
		{address, "", "a", 400, "MissingRequiredHeader"},
		{address, "BlockBlob", "whole\n", 201, ""},
		{block, "", "a", 409, "InvalidBlobType"},
		{address, "AppendBlob", "", 201, ""},
		{block, "", "one\n", 201, ""},
		{address + "&comp=metadata", "", "", 400, "InvalidQueryParameterValue"},
		{sealing, "", "two\n", 201, ""},
		{block, "", "three\n", 409, "BlobIsSealed"},
		{address + "x", "BlockBlob", "", 403, "AuthenticationFailed"},
	} {
		if status, code := put(t, c.address, c.kind, strings.NewReader(c.body)); status != c.status || code != c.code {
			t.Errorf("call %d: %d %s, want %d %s", i, status, code, c.status, c.code)
		}
	}
	if got := w.Log(w.job("build").ID); got != "one\ntwo\n" {
		t.Errorf("log is %q", got)
	}
}

// TestLargeLogsAreNotInMemory sends 80 MB, as steps of millions of lines make.
func TestLargeLogsAreNotInMemory(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	address := w.begin("linux", "x64").logAddress("s1")
	put(t, address, "AppendBlob", http.NoBody)
	before := heap()
	const blocks = 40
	part := bytes.Repeat([]byte("2026-01-31T12:00:00.0000000Z a line of a log\n"), 2<<20/46)
	for range blocks {
		if status, code := put(t, address+"&comp=appendblock", "", bytes.NewReader(part)); status != http.StatusCreated {
			t.Fatalf("a block: %d %s", status, code)
		}
	}
	if grown := heap() - before; grown > 30<<20 {
		t.Errorf("%d MB more in memory", grown>>20)
	}
	a := w.call("Bearer "+pat, "GET", "/api/v3/repos/acme/web/actions/jobs/"+id(w.job("build").ID)+"/logs", nil)
	if len(a.text) != blocks*len(part) {
		t.Errorf("the log is of %d bytes, want %d", len(a.text), blocks*len(part))
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestResultsRefuse(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	j := w.begin("linux", "x64")
	for method, c := range map[string]struct {
		more map[string]any
		want int
		code string
	}{
		twirpReceiver + "GetJobSecrets":                                      {nil, 404, "bad_route"},
		"twirp/github.actions.results.api.v1.ArtifactService/CreateArtifact": {nil, 404, "bad_route"},
		"twirp/a/GetJobLogsSignedBlobURL":                                    {nil, 404, "bad_route"},
		twirpReceiver + "GetJobLogsSignedBlobURL":                            {map[string]any{"workflow_job_run_backend_id": "x"}, 403, "permission_denied"},
		twirpReceiver + "CreateStepLogsMetadata":                             {map[string]any{"workflow_run_backend_id": j.at("jobId")}, 403, "permission_denied"},
	} {
		a := j.report(method, c.more)
		if diff := cmp.Diff(any(c.code), a.body["code"]); diff != "" || a.code != c.want || a.body["msg"] == "" {
			t.Errorf("%s: %d %s, want %d %s", method, a.code, a.text, c.want, c.code)
		}
	}
}

// TestSlowUploadStopsNobody: a log can be read while its next block arrives slowly.
func TestSlowUploadStopsNobody(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	address := w.begin("linux", "x64").logAddress("s1")
	put(t, address, "AppendBlob", http.NoBody)
	put(t, address+"&comp=appendblock", "", strings.NewReader("first\n"))
	body, slow := io.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); put(t, address+"&comp=appendblock", "", body) }()
	if _, err := slow.Write([]byte("sec")); err != nil { // the client has begun to send
		t.Fatal(err)
	}
	if got := w.Log(w.job("build").ID); got != "first\n" {
		t.Errorf("log is %q in the midst of a block", got)
	}
	slow.Write([]byte("ond\n"))
	slow.Close()
	<-done
	if got := w.Log(w.job("build").ID); got != "first\nsecond\n" {
		t.Errorf("log is %q", got)
	}
}
