package runtimeapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// An Identity is what AWS says of a signature to the function.
type Identity = events.LambdaFunctionURLRequestContextAuthorizerIAMDescription

// A URL is a Function URL: what comes over HTTP goes to the function as an event.
//
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
type URL struct {
	Function *Function

	// Caller says who signed a request, for a URL of type AWS_IAM; with an error the
	// function is not called. Nil is the type NONE.
	Caller func(r *http.Request, body []byte) (*Identity, error)
}

// ServeHTTP answers as Lambda does.
func (u *URL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 6<<20)) // Lambda takes no more
	if err != nil {
		say(w, http.StatusRequestEntityTooLarge, "Request Too Long")
		return
	}
	var by *Identity
	if u.Caller != nil {
		if by, err = u.Caller(r, body); err != nil {
			say(w, http.StatusForbidden, "Forbidden")
			return
		}
	}
	event, err := Event(r, body, by)
	if err != nil {
		say(w, http.StatusBadRequest, "Bad Request")
		return
	}
	answer, err := u.Function.Invoke(context.WithoutCancel(r.Context()), event) // who hangs up ends no function
	var res events.LambdaFunctionURLResponse
	if err != nil || json.Unmarshal(answer, &res) != nil {
		say(w, http.StatusBadGateway, "Internal Server Error")
		return
	}
	write(w, res)
}

// say answers in Lambda's own name.
func say(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"Message": message})
}

// write passes on what the function answered.
func write(w http.ResponseWriter, res events.LambdaFunctionURLResponse) {
	body := []byte(res.Body)
	if res.IsBase64Encoded {
		body, _ = base64.StdEncoding.DecodeString(res.Body) // what is not base64 becomes nothing
	}
	for name, value := range res.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(body)
}

// Event is what a function gets of r, whose body is body, signed by somebody or by
// nobody. Lambda writes names of headers in lower case, and text as base64 unless it
// knows its type.
func Event(r *http.Request, body []byte, by *Identity) ([]byte, error) {
	e := events.LambdaFunctionURLRequest{
		Version: "2.0", RawPath: r.URL.EscapedPath(), RawQueryString: r.URL.RawQuery, Headers: map[string]string{},
		Body: base64.StdEncoding.EncodeToString(body), IsBase64Encoded: true,
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		e.Body, e.IsBase64Encoded = string(body), false
	}
	for name, values := range r.Header {
		e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	now := time.Now()
	e.RequestContext = events.LambdaFunctionURLRequestContext{
		AccountID: "anonymous", RequestID: "request", APIID: "abc", DomainName: r.Host, Time: now.UTC().Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
		HTTP: events.LambdaFunctionURLRequestContextHTTPDescription{
			Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: "192.0.2.1", UserAgent: r.UserAgent(),
		},
	}
	if by != nil {
		e.RequestContext.Authorizer = &events.LambdaFunctionURLRequestContextAuthorizerDescription{IAM: by}
	}
	return json.Marshal(e)
}
