package awstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A Front stands before moto. It answers for the services that moto lacks
// ([CodeCommit], [CodeBuild], [Schemas]) and hands everything else on, so that one address
// serves all. What it answers itself is told by [Front.OwnServices]: that is checked for its shape, by us and
// not by AWS or moto.
//
// It can also lose things, to interrupt who calls.
type Front struct {
	URL    string
	Config aws.Config // for clients

	// Lose decides what becomes of a call, such as "s3:PutObject"; nil loses none.
	Lose func(call string) Loss

	own   map[string]http.Handler // by service, as signatures name them
	moto  http.Handler
	mu    sync.Mutex
	calls map[string]int // guarded by mu
}

// A Loss is what becomes of a call.
type Loss int

// The losses.
const (
	Kept         Loss = iota
	RequestLost       // it is not carried out
	ResponseLost      // it is carried out, and nobody hears of it
)

// Front starts one before c, with the services of ours.
func (c *Cloud) Front(t testing.TB, own map[string]http.Handler) *Front {
	t.Helper()
	f := &Front{own: own, calls: map[string]int{}, moto: c.proxy()}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.URL = server.URL
	f.Config = c.Config.Copy()
	f.Config.BaseEndpoint, f.Config.ConfigSources = &f.URL, nil // the sources know moto's address
	return f
}

// proxy hands on to moto.
func (c *Cloud) proxy() http.Handler {
	at, err := url.Parse(c.URL)
	if err != nil {
		panic(err) // it is what moto said it listens on
	}
	return &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(at)
		r.Out.Host = r.In.Host // which moto's own addresses begin with
	}}
}

// OwnServices returns the services that are not moto's here.
func (f *Front) OwnServices() []string { return slices.Sorted(maps.Keys(f.own)) }

// Calls returns how often each call was made, whatever became of it.
func (f *Front) Calls() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.calls)
}

// ServeHTTP implements [http.Handler].
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	service, call := callOf(r, body)
	f.mu.Lock()
	f.calls[call]++
	lose := f.Lose
	f.mu.Unlock()
	loss := Kept
	if lose != nil {
		loss = lose(call)
	}
	if loss == RequestLost {
		panic(http.ErrAbortHandler)
	}
	handler := f.moto
	if own, ok := f.own[service]; ok {
		handler = own
	}
	if loss == ResponseLost {
		handler.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	handler.ServeHTTP(w, r)
}

// SetLose changes [Front.Lose] while calls are made.
func (f *Front) SetLose(lose func(call string) Loss) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Lose = lose
}

// scope is where a signature says which service it is for.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
var scope = regexp.MustCompile(`Credential=[^/]+/[0-9]+/[^/]+/([^/]+)/aws4_request`)

// callOf returns the service and the operation of a request, however its protocol says
// it: a header, a form, or method and path.
func callOf(r *http.Request, body []byte) (service, call string) {
	if m := scope.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		service = m[1]
	}
	operation := r.Header.Get("X-Amz-Target")
	if form, err := url.ParseQuery(string(body)); operation == "" && err == nil && form.Get("Action") != "" {
		operation = form.Get("Action")
	}
	if operation == "" {
		operation = r.Method + " " + r.URL.Path
		if service == "s3" {
			operation = objectCall(r)
		}
	}
	return service, service + ":" + operation[strings.LastIndex(operation, ".")+1:]
}

// objectCall names the calls to S3 that matter here.
func objectCall(r *http.Request) string {
	switch bucket := strings.Count(strings.Trim(r.URL.Path, "/"), "/") == 0; {
	case r.Method == http.MethodPut && !bucket:
		return "PutObject"
	case r.Method == http.MethodPut && r.URL.RawQuery == "":
		return "CreateBucket"
	case r.Method == http.MethodDelete && bucket:
		return "DeleteBucket"
	}
	return r.Method + " " + r.URL.RawQuery
}

// operations answer the calls of a service whose protocol is AWS's JSON, by the names of
// the calls.
type operations map[string]func(body []byte) (any, error)

// refused is an error as such a service gives it.
type refused struct{ code, message string }

func (e refused) Error() string { return e.code + ": " + e.message }

// ServeHTTP implements [http.Handler].
func (o operations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	target := r.Header.Get("X-Amz-Target")
	do := o[target[strings.LastIndex(target, ".")+1:]]
	var out any
	if err = (refused{"UnknownOperationException", target}); do != nil {
		out, err = do(body)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		no, ok := err.(refused)
		if !ok {
			no = refused{"SerializationException", err.Error()}
		}
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]string{"__type": no.code, "message": no.message}
	}
	_ = json.NewEncoder(w).Encode(out) // who is gone hears nothing
}

// exactly reads the input of a call. A member that is not of In is a fault: what is
// answered here is checked for its shape.
func exactly[In any](do func(In) (any, error)) func([]byte) (any, error) {
	return func(body []byte) (any, error) {
		var in In
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return nil, fmt.Errorf("%w in %s", err, body)
		}
		return do(in)
	}
}
