package lint

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

type linter struct {
	Config
	inputs map[string][]expr.Partial // by name of a called file: what each call gives it
	routed []routed
	found  []Finding
}

// A routed is a job that a pool takes.
type routed struct {
	at     Finding // its place
	labels []string
	pool   string
}

// A want is what a job asks for, as far as it can be told.
type want struct {
	labels  []string
	group   string
	unknown []string // what it reads that only a run tells
	varying string   // a label that differs from run to run
}

// job says where each leg of a job goes.
func (l *linter) job(w *workflow.Workflow, j *workflow.Job) {
	if j.Uses != "" {
		return // its jobs are in the file that it calls
	}
	at := Finding{File: w.Path, Line: j.RunsOnLine, Column: j.RunsOnCol, Job: j.Key}
	if j.RunsOnLine == 0 {
		at.Line, at.Column = j.Line, j.Column
	}
	for _, scope := range l.scopes(w, j) {
		choices := wants(j, scope)
		for _, want := range choices {
			l.judge(at, want, len(choices) > 1)
		}
	}
}

// calls notes what the jobs of all that call another file of all give it.
func (l *linter) calls(all []*workflow.Workflow) {
	l.inputs = map[string][]expr.Partial{}
	for _, w := range all {
		for _, j := range w.Jobs {
			called := slices.IndexFunc(all, func(o *workflow.Workflow) bool {
				return o.Call != nil && j.Uses == "./.github/workflows/"+path.Base(o.Path)
			})
			if called < 0 {
				continue
			}
			for _, scope := range l.scopes(w, &j) {
				l.inputs[all[called].Path] = append(l.inputs[all[called].Path], given(all[called].Call, j.With, scope))
			}
		}
	}
}

// given is the context inputs of a called workflow, as far as the call tells it.
func given(called *workflow.Interface, with []workflow.Variable, scope expr.Scope) expr.Partial {
	inputs := expr.Partial{Name: "inputs", Known: map[string]expr.Value{}}
	for _, in := range called.Inputs {
		text := in.Default
		if i := slices.IndexFunc(with, func(v workflow.Variable) bool { return strings.EqualFold(v.Name, in.Name) }); i >= 0 {
			text = with[i].Value
		}
		if values, err := scope.Possible(text); err == nil && len(values) == 1 {
			inputs.Known[in.Name] = values[0]
		}
	}
	return inputs
}

// scopes returns what the expressions of each leg of j can see, for each call of w. A matrix that only a run tells is not in them.
func (l *linter) scopes(w *workflow.Workflow, j *workflow.Job) (all []expr.Scope) {
	github := expr.Partial{Name: "github", Known: map[string]expr.Value{}}
	if owner, _, ok := strings.Cut(l.Repository, "/"); ok {
		github.Known["repository"], github.Known["repository_owner"] = l.Repository, owner
	}
	calls := l.inputs[w.Path]
	if len(calls) == 0 {
		calls = []expr.Partial{{Name: "inputs"}}
	}
	for _, inputs := range calls {
		contexts := map[string]expr.Value{"github": github, "inputs": inputs}
		legs, err := j.Matrix.Legs(expr.Scope{})
		if err != nil {
			all = append(all, expr.Scope{Contexts: contexts})
			continue
		}
		for _, leg := range legs {
			own := maps.Clone(contexts)
			own["matrix"] = leg.Values
			all = append(all, expr.Scope{Contexts: own})
		}
	}
	return all
}

// wants returns what j can ask for in scope.
func wants(j *workflow.Job, scope expr.Scope) []want {
	if j.LabelsFrom == "" {
		all := []want{{}}
		for _, label := range j.Labels {
			all = extend(all, label, scope)
		}
		return withGroup(all, j.Group, scope)
	}
	values, err := scope.Possible(j.LabelsFrom)
	if err != nil {
		return []want{{unknown: []string{err.Error()}}}
	}
	var all []want
	for _, v := range values {
		all = append(all, wantOf(v, j.LabelsFrom))
	}
	return withGroup(all, j.Group, scope)
}

// extend adds each value that a label can have to each of all.
func extend(all []want, label string, scope expr.Scope) (more []want) {
	values, err := scope.Possible(label)
	if err != nil {
		values = []expr.Value{expr.Unknown{Reads: []string{err.Error()}}}
	}
	for _, w := range all {
		for _, v := range values {
			next := wantOf(v, label)
			next.labels = append(slices.Clone(w.labels), next.labels...)
			next.unknown = append(slices.Clone(w.unknown), next.unknown...)
			if next.varying == "" {
				next.varying = w.varying
			}
			more = append(more, next)
		}
	}
	return more
}

func withGroup(all []want, group string, scope expr.Scope) []want {
	if group == "" {
		return all
	}
	values, err := scope.Possible(group)
	for i := range all {
		if name, ok := values[0].(string); err == nil && ok && len(values) == 1 {
			all[i].group = name
		} else {
			all[i].group = group
		}
	}
	return all
}

// wantOf reads a value of runs-on, or of one of its labels, that source gave: a label, a list of them, or an object
// with group and labels.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idruns-on
func wantOf(v expr.Value, source string) (w want) {
	switch v := v.(type) {
	case string:
		w.labels = []string{v}
	case []any:
		for _, item := range v {
			w.labels = append(w.labels, expr.Text(item))
		}
	case map[string]any:
		if labels, ok := v["labels"]; ok {
			w = wantOf(labels, source)
		}
		w.group, _ = v["group"].(string)
	case expr.Unknown:
		w.unknown = v.Reads
		if slices.ContainsFunc(v.Reads, varies) {
			w.varying = source
		}
	default:
		w.unknown = []string{"a value that is no label"}
	}
	return w
}

// varies reports whether what is read differs in each run.
func varies(read string) bool {
	return slices.Contains([]string{"github.run_id", "github.run_number", "github.run_attempt", "github.sha"}, read)
}

// judge says where a job that wants w goes, if that is what it wants: possibly means that a run can choose otherwise.
func (l *linter) judge(at Finding, w want, possibly bool) {
	say := func(level Level, rule, fix, format string, args ...any) {
		at.Level, at.Rule, at.Fix, at.Message = level, rule, fix, fmt.Sprintf(format, args...)
		if possibly && level == Error {
			at.Level, at.Message = Warning, "possibly "+at.Message
		}
		l.found = append(l.found, at)
	}
	switch {
	case w.varying != "":
		say(Error, RuleChanges, "ask for labels of a pool", "label %q differs from run to run: no pool can have it", w.varying)
		return
	case len(w.unknown) > 0:
		say(Note, RuleUnknown, "", "runs-on depends on %s, which is known only at run time", strings.Join(slices.Compact(w.unknown), ", "))
		return
	}
	shown := event.ShowLabels(w.labels)
	fits := l.fitting(w.labels)
	switch {
	case len(w.labels) == 0 && w.group != "":
		say(Error, RuleGroup, "add the labels of a pool: runs-on: {group: "+w.group+", labels: [...]}",
			"runner group %q without labels: pools are chosen by labels, so none takes it", w.group)
	case len(fits) == 0 && pool.Hosted(w.labels):
		say(Note, RuleHosted, "", "labels %s: GitHub's own runners take it", shown)
	case len(fits) == 0:
		_, unfit := l.Pools.Unfit(l.event(w.labels))
		say(Error, RuleNoPool, "add the labels to a pool of mayfly.yaml, or ask for a pool's labels", "labels %s: %s", shown, unfit)
	default:
		say(Note, RulePool, "", "labels %s: pool %s takes it", shown, fits[0])
		if len(fits) > 1 {
			say(Note, RuleSeveral, "", "labels %s fit pools %s: %s comes first in the configuration and takes it", shown, strings.Join(fits, ", "), fits[0])
		}
		if p, _ := l.Pools.Find(fits[0]); w.group != "" && !p.RunnerGroup.Is(w.group) {
			say(Warning, RuleGroup, "set runner_group of pool "+fits[0]+" to "+w.group,
				"runner group %q: GitHub gives the job a runner of pool %s only if the pool registers its runners in that group", w.group, fits[0])
		}
		at.Level, at.Rule, at.Fix, at.Message = "", "", "", ""
		l.routed = append(l.routed, routed{at, w.labels, fits[0]})
	}
}

func (l *linter) event(labels []string) event.WorkflowJob {
	job := event.WorkflowJob{Repository: l.Repository, Labels: labels}
	if !l.Personal {
		job.Organization, _, _ = strings.Cut(l.Repository, "/")
		if job.Organization == "" {
			job.Organization = "organization" // any has one
		}
	}
	return job
}

// fitting returns the names of all pools that a job with labels fits, the one that takes it first.
func (l *linter) fitting(labels []string) (names []string) {
	for rest := l.Pools; ; {
		p, ok := rest.Route(l.event(labels))
		if !ok {
			return names
		}
		names = append(names, p.Name)
		rest = rest[1+slices.IndexFunc(rest, func(q pool.Pool) bool { return q.Name == p.Name }):]
	}
}

// shared finds jobs whose runner GitHub may give to another job: a runner is registered with its job's labels, and GitHub gives
// it any job whose labels are among them.
// https://docs.github.com/en/actions/how-tos/manage-runners/self-hosted-runners/use-in-a-workflow#using-custom-labels-to-route-jobs
func (l *linter) shared() {
	for i, mine := range l.routed {
		if slices.ContainsFunc(l.routed[:i], func(r routed) bool { return r.at == mine.at && slices.Equal(r.labels, mine.labels) }) {
			continue // another leg
		}
		var same, others []string // jobs of the same pool and of others
		for _, other := range l.routed {
			if !among(other.labels, mine.labels) || among(mine.labels, other.labels) {
				continue
			}
			name := fmt.Sprintf("%s (%s:%d)", other.at.Job, other.at.File, other.at.Line)
			list := &same
			if other.pool != mine.pool {
				list, name = &others, name+" of pool "+other.pool
			}
			if !slices.Contains(*list, name) {
				*list = append(*list, name)
			}
		}
		l.share(mine, Note, same, "")
		l.share(mine, Warning, others, "give the pools of the other jobs a label that pool "+mine.pool+" does not have, and let those jobs ask for it")
	}
}

// maxNamed is how many other jobs a finding names.
const maxNamed = 3

func (l *linter) share(mine routed, level Level, others []string, fix string) {
	if len(others) == 0 {
		return
	}
	named := others
	if len(others) > maxNamed {
		named = append(slices.Clone(others[:maxNamed]), fmt.Sprintf("%d more", len(others)-maxNamed))
	}
	f := mine.at
	f.Level, f.Rule, f.Fix = level, RuleShared, fix
	f.Message = fmt.Sprintf("GitHub may give the runner of this job, of pool %s, to jobs that ask for fewer labels: %s", mine.pool, strings.Join(named, ", "))
	l.found = append(l.found, f)
}

// among reports whether each of labels is one of all, ignoring case.
func among(labels, all []string) bool {
	return !slices.ContainsFunc(labels, func(label string) bool {
		return !slices.ContainsFunc(all, func(a string) bool { return strings.EqualFold(a, label) })
	})
}
