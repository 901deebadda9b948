package openapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// An operation checks what passes between a client and next for one method of
// one path of the description.
type operation struct {
	doc    *openapi3.T
	path   string
	item   *openapi3.PathItem
	method string
	op     *openapi3.Operation
	report func(format string, args ...any)
	next   http.Handler
}

// serve reports faults of the request before next sees it and faults of the
// answer when next has returned; what was hijacked or aborted is no answer.
func (o *operation) serve(w http.ResponseWriter, r *http.Request, params map[string]string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	in := o.input(r, params, body)
	if err := o.checkRequest(in); err != nil {
		o.report("%s %s: request: %v", r.Method, r.URL.Path, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := &tee{ResponseWriter: w, status: http.StatusOK}
	o.next.ServeHTTP(answer, r)
	if answer.hijacked {
		return
	}
	if err := o.checkAnswer(in, answer); err != nil {
		o.report("%s %s: answer %d: %v", r.Method, r.URL.Path, answer.status, err)
	}
}

// input prepares what the checks read. It has a request of its own, because
// kin-openapi writes defaults into what it checks.
func (o *operation) input(r *http.Request, params map[string]string, body []byte) *openapi3filter.RequestValidationInput {
	own := r.Clone(r.Context())
	own.Body = io.NopCloser(bytes.NewReader(body))
	own.ContentLength = int64(len(body))
	return &openapi3filter.RequestValidationInput{
		Request: own, PathParams: params,
		Route:   &routers.Route{Spec: o.doc, Path: o.path, PathItem: o.item, Method: o.method, Operation: o.op},
		Options: options(),
	}
}

// options makes messages name the member and what is wrong with it, in place of
// pages of schema.
func options() *openapi3filter.Options {
	o := &openapi3filter.Options{
		MultiError: true, IncludeResponseStatus: true, SkipSettingDefaults: true,
		RejectWhenRequestBodyNotSpecified: true,
	}
	o.WithCustomSchemaErrorFunc(func(err *openapi3.SchemaError) string {
		return fmt.Sprintf("/%s: %s", strings.Join(err.JSONPointer(), "/"), err.Reason)
	})
	return o
}

func (o *operation) checkRequest(in *openapi3filter.RequestValidationInput) error {
	for name := range in.Request.URL.Query() {
		if o.op.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil &&
			o.item.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			return fmt.Errorf("query parameter %q is not in the description", name)
		}
	}
	return openapi3filter.ValidateRequest(in.Request.Context(), in)
}

func (o *operation) checkAnswer(in *openapi3filter.RequestValidationInput, a *tee) error {
	if o.op.Responses.Status(a.status) == nil && undocumented(a.status) {
		return checkError(a)
	}
	// Link is described as a string and is a list to kin-openapi, which then
	// does not know it again.
	header := a.Header().Clone()
	header.Del("Link")
	return openapi3filter.ValidateResponse(in.Request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Options: in.Options,
		Status: a.status, Header: header, Body: io.NopCloser(&a.body),
	})
}

// undocumented reports whether GitHub answers with status on any operation,
// documented or not. 404 is among them because GitHub gives it for whatever a
// credential may not see:
// https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#404-not-found-for-an-existing-resource
func undocumented(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// checkError holds the body of an undocumented error against GitHub's
// basic-error. A 5xx may come from a proxy before GitHub and have any body.
func checkError(a *tee) error {
	if a.status >= 500 {
		return nil
	}
	var e struct{ Message string }
	if err := json.Unmarshal(a.body.Bytes(), &e); err != nil || e.Message == "" {
		return fmt.Errorf("body %.200q: want a JSON object with a message", a.body.String())
	}
	return nil
}

// A tee passes an answer on and keeps a copy.
type tee struct {
	http.ResponseWriter
	status   int
	wrote    bool
	hijacked bool
	body     bytes.Buffer
}

func (t *tee) WriteHeader(status int) {
	if !t.wrote && status >= 200 {
		t.status, t.wrote = status, true
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *tee) Write(p []byte) (int, error) {
	t.wrote = true
	t.body.Write(p)
	return t.ResponseWriter.Write(p)
}

// Hijack lets next cut a connection, which tests of lost answers do.
func (t *tee) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	t.hijacked = true
	return http.NewResponseController(t.ResponseWriter).Hijack()
}

// Unwrap is for http.ResponseController.
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }
