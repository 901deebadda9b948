package function_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/function"
)

// sample is the event of AWS's documentation of Function URLs, signed by a task.
func sample(t *testing.T) (e events.LambdaFunctionURLRequest) {
	t.Helper()
	text, err := os.ReadFile("testdata/request.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// tell answers with what it sees of a request.
var tell = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	by, signed := function.Caller(r)
	w.Header().Set("X-Twice", "a")
	w.Header().Add("X-Twice", "b")
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, "%s %s %s from %s, %d bytes %q, delivery %q, by %v %s", r.Method, r.Host, r.URL, r.RemoteAddr,
		r.ContentLength, body, r.Header.Get("X-GitHub-Delivery"), signed, by.UserID)
})

func TestRequestAndAnswer(t *testing.T) {
	e := sample(t)
	got, err := function.Serve(tell)(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	want := events.LambdaFunctionURLResponse{
		StatusCode: 202, Headers: map[string]string{"X-Twice": "a,b"},
		Body: `POST abc.lambda-url.eu-west-1.on.aws /claim?parameter1=value1&parameter2=value from 192.0.2.1, 13 bytes "Hello, World!", ` +
			`delivery "72d3162e-cc78-11e3-81ab-4c9367dc0958", by true AROAEXAMPLE:0123456789abcdef0123456789abcdef`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	e.IsBase64Encoded, e.RequestContext.Authorizer = false, nil
	if got, _ = function.Serve(tell)(t.Context(), e); got.StatusCode != 202 || got.Body == want.Body {
		t.Errorf("the body as it came, unsigned: %+v", got)
	}
}

func TestFaultyBody(t *testing.T) {
	e := sample(t)
	e.Body = "%"
	if got, err := function.Serve(tell)(t.Context(), e); err != nil || got.StatusCode != http.StatusBadRequest {
		t.Errorf("%+v, %v: want 400", got, err)
	}
}

func TestBytes(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte{0xff, 0}) })
	got, _ := function.Serve(h)(t.Context(), sample(t))
	if !got.IsBase64Encoded || got.Body != base64.StdEncoding.EncodeToString([]byte{0xff, 0}) || got.StatusCode != 200 {
		t.Errorf("%+v: want the bytes in base64", got)
	}
}

// FuzzRequest gives the handler what a stranger may send: it is answered, and what is
// in a body stays what it is.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "/", "", "body", "x-github-event", "ping", false)
	f.Add("P T", "//%zz", "a;b", "%", "", "\n", true)
	f.Fuzz(func(t *testing.T, method, path, query, body, name, value string, encoded bool) {
		e := events.LambdaFunctionURLRequest{RawPath: path, RawQueryString: query, Body: body, IsBase64Encoded: encoded, Headers: map[string]string{name: value}}
		e.RequestContext.HTTP.Method = method
		got, err := function.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))(t.Context(), e)
		if err != nil || got.StatusCode != 200 && got.StatusCode != 400 {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.StatusCode == 200 && !encoded && !got.IsBase64Encoded && got.Body != body {
			t.Errorf("body %q came as %q", body, got.Body)
		}
	})
}
