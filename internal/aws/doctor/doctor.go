// Package doctor looks at a stack on AWS for what keeps jobs from their runners, in the order in which a
// job needs it: the account, the stack, GitHub's way in, events, hosts, tasks, and what alarms say. It
// changes nothing. [Report.WriteTo] prints what can be pasted into an issue: account numbers are left out.
package doctor

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// A Patient is the stack to look at.
type Patient struct {
	Account       *deploy.Account
	Stack         *deploy.Stack
	Architectures []string // whose hosts and images the stack has

	// Containers are the ids of the containers of runners, by the ledger, that are claimed or later.
	Containers func(context.Context) ([]string, error)

	// Ping has GitHub's way in tried; nil where there is no webhook to try.
	Ping func(context.Context) error
}

// A State is how a check came out.
type State string

// The states. A check that could not be made, such as for lack of a permission, is not one that failed.
const (
	OK      State = "ok"
	Warning State = "warning"
	Failed  State = "FAILED"
	Skipped State = "skipped"
)

// A Result is what a check found.
type Result struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Says  string `json:"says"`
	Hint  string `json:"hint,omitempty"` // the next thing to do, unless it is ok
}

// A Report is the results in the order of the checks.
type Report []Result

// Healthy reports whether nothing failed.
func (r Report) Healthy() bool {
	return !slices.ContainsFunc(r, func(one Result) bool { return one.State == Failed })
}

// account is a number of an account of AWS.
var account = regexp.MustCompile(`\b\d{12}\b`)

// WriteTo prints the report as plain text.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, one := range r {
		fmt.Fprintf(table, "%s\t%s\t%s\n", one.State, one.Check, oneLine(one.Says))
		if one.Hint != "" {
			fmt.Fprintf(table, "\t\thint: %s\n", oneLine(one.Hint))
		}
	}
	if err := table.Flush(); err != nil {
		return 0, err
	}
	n, err := io.WriteString(w, account.ReplaceAllString(b.String(), "ACCOUNT"))
	return int64(n), err
}

// oneLine is text from outside as a line of ours.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// A finding is what a check says of itself; an error that is none is a call that failed.
type finding struct {
	state State
	says  string
	hint  string
}

func (f finding) Error() string { return f.says }

func warn(hint, format string, args ...any) error {
	return finding{Warning, fmt.Sprintf(format, args...), hint}
}

func fail(hint, format string, args ...any) error {
	return finding{Failed, fmt.Sprintf(format, args...), hint}
}

// Examine makes all checks. Those of a stack that is not there are left out.
func Examine(ctx context.Context, p Patient) (report Report) {
	e := &examination{Patient: p}
	for _, c := range []struct {
		name  string
		check func(context.Context) (string, error)
	}{
		{"account", e.account}, {"stack", e.stack}, {"rules", e.rules}, {"secrets", e.secrets}, {"concurrency", e.concurrency},
		{"log policies", e.logPolicies}, {"images", e.images}, {"hosts", e.hosts}, {"agents", e.agents}, {"tasks", e.tasks},
		{"sessions", e.sessions}, {"queues", e.queues}, {"alarms", e.alarms}, {"ping", e.ping},
	} {
		says, err := c.check(ctx)
		report = append(report, resultOf(c.name, says, err))
		if c.name == "stack" && !e.state.Exists() {
			break
		}
	}
	return report
}

func resultOf(name, says string, err error) Result {
	found, is := err.(finding)
	switch {
	case err == nil:
		return Result{Check: name, State: OK, Says: says}
	case is:
		return Result{name, found.state, found.says, found.hint}
	case refusal.Denied(err):
		return Result{name, Skipped, err.Error(), "allow " + refusal.Action(err) + " to have it checked"}
	}
	hint, _ := refusal.Of(err)
	return Result{name, Failed, err.Error(), hint}
}

// An examination is one under way.
type examination struct {
	Patient
	state deploy.State
}
