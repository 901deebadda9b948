package function

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// Serve returns what Lambda calls for the requests to a Function URL: h, with the
// request as if it had come over HTTP.
//
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
func Serve(h http.Handler) func(context.Context, events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
	return func(ctx context.Context, e events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		w := &recorder{header: http.Header{}}
		if r, err := request(ctx, e); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		} else {
			h.ServeHTTP(w, r)
		}
		return w.response(), nil
	}
}

// request is the HTTP request that e tells of.
func request(ctx context.Context, e events.LambdaFunctionURLRequest) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, fmt.Errorf("body: want base64: %w", err)
		}
	}
	target := url.URL{Path: "/" + strings.TrimPrefix(e.RawPath, "/"), RawQuery: e.RawQueryString}
	ctx = context.WithValue(ctx, callerKey{}, e.RequestContext.Authorizer)
	r, err := http.NewRequestWithContext(ctx, e.RequestContext.HTTP.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range e.Headers { // in lower case; values of one name are joined by commas
		r.Header.Set(name, value)
	}
	r.Host, r.RemoteAddr = e.RequestContext.DomainName, e.RequestContext.HTTP.SourceIP
	return r, nil
}

type callerKey struct{}

// Caller returns as whom r was signed, for a function whose URL wants that (AWS_IAM);
// false for any other. AWS has checked the signature, and fills this in itself.
func Caller(r *http.Request) (events.LambdaFunctionURLRequestContextAuthorizerIAMDescription, bool) {
	by, _ := r.Context().Value(callerKey{}).(*events.LambdaFunctionURLRequestContextAuthorizerDescription)
	if by == nil || by.IAM == nil {
		return events.LambdaFunctionURLRequestContextAuthorizerIAMDescription{}, false
	}
	return *by.IAM, true
}

// A recorder keeps an answer until it is whole.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *recorder) response() events.LambdaFunctionURLResponse {
	w.WriteHeader(http.StatusOK)
	res := events.LambdaFunctionURLResponse{StatusCode: w.status, Headers: map[string]string{}}
	for name, values := range w.header {
		res.Headers[name] = strings.Join(values, ",")
	}
	if body := w.body.Bytes(); utf8.Valid(body) {
		res.Body = string(body)
	} else {
		res.Body, res.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return res
}
