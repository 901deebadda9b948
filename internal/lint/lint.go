// Package lint holds the runs-on of workflow files against pools before GitHub does: which pool takes each job, and
// which jobs none takes. Matrices are expanded, and expressions are followed as far as the file alone tells them. Jobs are
// routed by [pool.Set.Route], as the webhook and the ledger do.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/workflow"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A Level says how much a finding matters. Its text is SARIF's.
type Level string

// The levels.
const (
	Error   Level = "error"   // the job gets no runner
	Warning Level = "warning" // it may wait, or run elsewhere than meant
	Note    Level = "note"    // what happens, for who wants to know
)

// The rules, which findings are of.
const (
	RuleSyntax  = "syntax"        // GitHub refuses the file
	RuleNoPool  = "no-pool"       // no pool takes the job
	RuleChanges = "varying-label" // a label differs from run to run, and a pool's labels do not
	RuleGroup   = "group"         // it asks for a runner group that the pool's runners are not in
	RuleShared  = "shared-runner" // GitHub may give the job's runner to a job that asks for less
	RuleSeveral = "several-pools" // the order of the pools decides
	RuleHosted  = "github-hosted" // GitHub's own runners take it
	RuleUnknown = "not-static"    // only a run tells its labels
	RulePool    = "pool"          // the pool that takes it
)

// Rules describes each rule in a sentence.
var Rules = map[string]string{
	RuleSyntax:  "GitHub refuses the workflow file.",
	RuleNoPool:  "No pool has all labels of the job.",
	RuleChanges: "A label of the job differs from run to run, so no pool can have it.",
	RuleGroup:   "The job asks for a runner group, and GitHub gives it only runners of that group.",
	RuleShared:  "GitHub may give the runner of this job to another job that asks for fewer labels.",
	RuleSeveral: "Several pools fit the job, and the first one in the configuration takes it.",
	RuleHosted:  "The job runs on GitHub's own runners.",
	RuleUnknown: "The labels depend on values that are known only when the workflow runs.",
	RulePool:    "The pool that takes the job.",
}

// A Finding is what there is to say about one place of a file.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // from 1
	Column  int    `json:"column"`
	Level   Level  `json:"level"`
	Rule    string `json:"rule"`
	Job     string `json:"job,omitempty"` // its key in the file
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s [%s]", f.File, f.Line, f.Column, f.Level, f.Message, f.Rule)
}

// A Config is what workflows are held against.
type Config struct {
	Pools      pool.Set
	Repository string // owner/name; "" where it is not known, and then pools for some repositories only count
	Personal   bool   // the repository belongs to a user
}

// A File is a workflow file.
type File struct {
	Name string // as findings name it
	Text []byte
}

// Check returns what there is to say about files, in their order.
func Check(c Config, files ...File) []Finding {
	l := &linter{Config: c}
	if c.Repository == "" {
		l.Pools = slices.Clone(c.Pools)
		for i := range l.Pools {
			l.Pools[i].Repositories = nil
		}
	}
	var all []*workflow.Workflow
	for _, f := range files {
		w, faults := workflow.Parse(f.Name, f.Text)
		for _, fault := range faults {
			l.found = append(l.found, Finding{
				File: f.Name, Line: fault.Line, Column: fault.Column, Level: Error, Rule: RuleSyntax, Message: fault.Message,
			})
		}
		if w != nil {
			all = append(all, w)
		}
	}
	l.calls(all)
	for _, w := range all {
		for i := range w.Jobs {
			l.job(w, &w.Jobs[i])
		}
	}
	l.shared()
	slices.SortStableFunc(l.found, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(l.found)
}
