package workflow

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// Parse reads the workflow file of the given path. With faults the workflow
// cannot run and is nil.
func Parse(file string, data []byte) (*Workflow, []Fault) {
	r := &reader{file: file, lines: strings.Split(string(data), "\n"), newer: readNewer(data)}
	source, errs := actionlint.Parse(data)
	for _, e := range errs {
		if !r.taken(e) {
			r.faults = append(r.faults, Fault{file, max(e.Line, 1), max(e.Column, 1), e.Message}) // of no YAML the parser gives line 0
		}
	}
	if source == nil || len(r.faults) > 0 {
		return nil, r.faults
	}
	w := r.workflow(source)
	r.checkNeeds(source)
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return w, nil
}

// A reader turns actionlint's tree into a Workflow and gathers faults.
type reader struct {
	file   string
	lines  []string // of the file
	newer  newer    // what actionlint does not read
	faults []Fault
}

func (r *reader) fault(pos *actionlint.Pos, format string, args ...any) {
	if pos == nil {
		pos = &actionlint.Pos{Line: 1, Col: 1}
	}
	r.faults = append(r.faults, Fault{r.file, pos.Line, pos.Col, fmt.Sprintf(format, args...)})
}

// check faults s if it reads what the server does not know at that place.
func (r *reader) check(s *actionlint.String, contexts ...string) {
	if s == nil {
		return
	}
	if err := expr.Check(s.Value, contexts...); err != nil {
		r.fault(s.Pos, "%v", err)
	}
}

func (r *reader) workflow(source *actionlint.Workflow) *Workflow {
	w := &Workflow{Path: r.file, Name: text(source.Name), RunName: text(source.RunName)}
	if w.Name == "" {
		w.Name = w.Path
	}
	for _, event := range source.On {
		r.event(w, event)
	}
	r.check(source.RunName, "github", "inputs", "vars")
	w.Concurrency = r.concurrency(source.Concurrency, r.newer.Concurrency, runContexts)
	w.Env = r.env(source.Env)
	for _, j := range byPosition(source.Jobs, func(j *actionlint.Job) *actionlint.Pos { return j.Pos }) {
		w.Jobs = append(w.Jobs, r.job(j, source.Defaults))
	}
	return w
}

// event takes in one entry of `on:`. Those that githubsim never sends start nothing.
func (r *reader) event(w *Workflow, event actionlint.Event) {
	switch e := event.(type) {
	case *actionlint.WorkflowDispatchEvent:
		w.Dispatch = r.dispatch(e)
	case *actionlint.WorkflowCallEvent:
		w.Call = r.call(e)
	case *actionlint.ScheduledEvent:
		for _, s := range e.Schedules {
			w.Schedules = append(w.Schedules, Schedule{text(s.Cron), text(s.Timezone)})
			if _, err := w.Schedules[len(w.Schedules)-1].parse(); err != nil {
				r.fault(s.Cron.Pos, "%v", err)
			}
		}
	case *actionlint.WebhookEvent:
		if e.EventName() != "push" {
			w.Unsent = append(w.Unsent, e.EventName())
			return
		}
		w.push = &filters{
			branches: r.globs(e.Branches, e.BranchesIgnore),
			tags:     r.globs(e.Tags, e.TagsIgnore),
			paths:    r.globs(e.Paths, e.PathsIgnore),
		}
	default:
		w.Unsent = append(w.Unsent, e.EventName())
	}
}

func (r *reader) globs(want, ignore *actionlint.WebhookEventFilter) *globs {
	if want.IsEmpty() && ignore.IsEmpty() {
		return nil
	}
	g := &globs{ignore: want.IsEmpty()}
	if g.ignore {
		want = ignore
	}
	for _, v := range want.Values {
		p, err := compile(v.Value)
		if err != nil {
			r.fault(v.Pos, "pattern %q: want one such as releases/**", v.Value)
			continue
		}
		g.patterns = append(g.patterns, p)
	}
	return g
}

// env reads a block of env:.
func (r *reader) env(e *actionlint.Env) []Variable {
	if e == nil {
		return nil
	}
	if e.Expression != nil {
		r.fault(e.Expression.Pos, "env as one expression is not supported by githubsim")
		return nil
	}
	var out []Variable
	for _, v := range byPosition(e.Vars, func(v *actionlint.EnvVar) *actionlint.Pos { return v.Name.Pos }) {
		out = append(out, Variable{v.Name.Value, text(v.Value)})
	}
	return out
}

// checkNeeds faults needs of jobs that are not there, and circles.
func (r *reader) checkNeeds(source *actionlint.Workflow) {
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(key string)
	visit = func(key string) {
		j := source.Jobs[key]
		state[key] = visiting
		for _, need := range j.Needs {
			id := strings.ToLower(need.Value)
			switch {
			case source.Jobs[id] == nil:
				r.fault(need.Pos, "job %q needs %q: want the name of a job of this file", j.ID.Value, need.Value)
			case state[id] == visiting:
				r.fault(need.Pos, "job %q needs %q, which needs it: want no circle", j.ID.Value, need.Value)
			case state[id] == 0:
				visit(id)
			}
		}
		state[key] = done
	}
	for _, j := range byPosition(source.Jobs, func(j *actionlint.Job) *actionlint.Pos { return j.Pos }) {
		if id := strings.ToLower(j.ID.Value); state[id] == 0 {
			visit(id)
		}
	}
}

// byPosition gives the values of m in the order of the file.
func byPosition[T any](m map[string]T, position func(T) *actionlint.Pos) []T {
	out := make([]T, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b T) int {
		p, q := position(a), position(b)
		return cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Col, q.Col))
	})
	return out
}

func text(s *actionlint.String) string {
	if s == nil {
		return ""
	}
	return s.Value
}

// boolText gives a flag as "true", "false" or its ${{ }}; "" if it is not there.
func boolText(b *actionlint.Bool) string {
	if b == nil {
		return ""
	}
	return b.String()
}

// numberText gives a number as a text, or its ${{ }}; "" if it is not there.
func numberText(f *actionlint.Float) string {
	switch {
	case f == nil:
		return ""
	case f.Expression != nil:
		return f.Expression.Value
	}
	return expr.Text(f.Value)
}

// IsFile reports whether name is where GitHub looks for workflows.
func IsFile(name string) bool {
	dir, ext := path.Dir(name), path.Ext(name)
	return dir == ".github/workflows" && (ext == ".yml" || ext == ".yaml")
}
