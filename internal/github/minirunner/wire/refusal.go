package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// maxRefusal is how much of an error's body is read.
const maxRefusal = 64 << 10

// A StatusError is an answer other than 2xx.
type StatusError struct {
	Call   string // method and path
	Status int
	Body   []byte
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d %s: %s", e.Call, e.Status, http.StatusText(e.Status), e.Body[:min(len(e.Body), 300)])
}

// Status is the status of an error that is an answer, or 0.
func Status(err error) int {
	var e *StatusError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// Reason is what GitHub's runner says of err: of an answer its status in words,
// never its body (RawHttpClientBase.cs).
func Reason(err error) string {
	if status := Status(err); status != 0 {
		return "Error: " + http.StatusText(status)
	}
	return err.Error()
}

// The services that sign their errors.
const (
	Broker     = "actions-broker-listener"
	RunService = "actions-run-service"
)

// A Refusal is an error body that its service signed.
type Refusal struct {
	Source  string `json:"source"`
	Kind    string `json:"errorKind"`
	Status  int    `json:"statusCode"`
	Message string `json:"errorMessage"`
}

// RefusalOf reads err's body as an error of the service source. A body that
// source did not sign counts for nothing, as in BrokerHttpClient.cs and
// RunServiceHttpClient.cs, whatever the status of the answer is.
func RefusalOf(err error, source string) (Refusal, bool) {
	var e *StatusError
	var r Refusal
	if !errors.As(err, &e) || json.Unmarshal(e.Body, &r) != nil || r.Source != source {
		return Refusal{}, false
	}
	return r, true
}

// Words are an error in the words of GitHub's runner.
type Words string

func (w Words) Error() string { return string(w) }

// Said is an error in the words of GitHub's runner.
func Said(format string, args ...any) error { return Words(fmt.Sprintf(format, args...)) }
