package worker

import (
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// A Conclusion is how a step or a job ended. The text is what GitHub's runner
// prints; GitHub gets it in lower case.
type Conclusion string

// The conclusions of TaskResult.cs that a runner reports.
const (
	Succeeded Conclusion = "Succeeded"
	Failed    Conclusion = "Failed"
	Canceled  Conclusion = "Canceled"
	Skipped   Conclusion = "Skipped"
)

// MarshalText gives c as GitHub gets it.
func (c Conclusion) MarshalText() ([]byte, error) { return []byte(strings.ToLower(string(c))), nil }

// status is the word that conditions and contexts use.
func (c Conclusion) status() string {
	switch c {
	case Succeeded:
		return "success"
	case Failed:
		return "failure"
	case Canceled:
		return "cancelled"
	}
	return "skipped"
}

// scope is what status functions go by after c.
func (c Conclusion) scope() expr.Status {
	switch c {
	case Failed:
		return expr.Failure
	case Canceled:
		return expr.Canceled
	}
	return expr.Success
}
