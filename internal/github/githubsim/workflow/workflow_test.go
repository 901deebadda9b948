package workflow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/workflow"
)

const file = ".github/workflows/ci.yml"

func parse(t *testing.T, text string) *workflow.Workflow {
	t.Helper()
	w, faults := workflow.Parse(file, []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return w
}

// withOn is a workflow of one job that `on` starts.
func withOn(on string) string {
	return "on: " + on + "\njobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n"
}

func TestPushed(t *testing.T) {
	for on, c := range map[string]struct{ must, not []string }{
		`push`:                                {must: []string{"heads/main", "tags/v1"}},
		`[push, pull_request]`:                {must: []string{"heads/main"}},
		`pull_request`:                        {not: []string{"heads/main"}},
		`workflow_dispatch`:                   {not: []string{"heads/main"}},
		`{push: {branches: [main, 'rel/*']}}`: {must: []string{"heads/main", "heads/rel/1"}, not: []string{"heads/rel/1/2", "heads/Main", "tags/main"}},
		`{push: {branches: ['rel/**']}}`:      {must: []string{"heads/rel/1/2"}, not: []string{"heads/rel", "heads/xrel/1"}},
		`{push: {branches: ['**', '!wip/*']}}`: {
			must: []string{"heads/a/b"}, not: []string{"heads/wip/1"},
		},
		`{push: {branches-ignore: ['wip/*']}}`:       {must: []string{"heads/main"}, not: []string{"heads/wip/1", "tags/x"}},
		`{push: {tags: ['v[0-9]+.*']}}`:              {must: []string{"tags/v12.x"}, not: []string{"tags/v.x", "heads/v1.x"}},
		`{push: {paths: ['docs/**', '*.go']}}`:       {must: []string{"heads/x"}},
		`{push: {paths: ['**/*.md']}}`:               {not: []string{"heads/x"}},
		`{push: {paths-ignore: ['main.go']}}`:        {not: []string{"heads/x"}},
		`{push: {branches: [main], paths: ['*.c']}}`: {not: []string{"heads/main"}},
	} {
		w := parse(t, withOn(on))
		for _, ref := range c.must {
			if !w.Pushed("refs/"+ref, []string{"main.go"}) {
				t.Errorf("%s: a push to %s does not start it", on, ref)
			}
		}
		for _, ref := range c.not {
			if w.Pushed("refs/"+ref, []string{"main.go"}) {
				t.Errorf("%s: a push to %s starts it", on, ref)
			}
		}
	}
}

func TestLegs(t *testing.T) {
	for name, c := range map[string]struct {
		matrix string
		want   []string
	}{
		"product":        {`{os: [a, b], v: [1, 2]}`, []string{"a, 1", "a, 2", "b, 1", "b, 2"}},
		"exclude":        {`{os: [a, b], v: [1, 2], exclude: [{os: a, v: 1}]}`, []string{"a, 2", "b, 1", "b, 2"}},
		"exclude partly": {`{os: [a, b], v: [1, 2], exclude: [{os: a}]}`, []string{"b, 1", "b, 2"}},
		// the example of GitHub's documentation
		"include": {
			`{fruit: [apple, pear], animal: [cat, dog], include: [{color: green}, {color: pink, animal: cat}, {fruit: apple, shape: circle}, {fruit: banana}, {fruit: banana, animal: cat}]}`,
			[]string{"apple, cat, pink, circle", "apple, dog, green, circle", "pear, cat, pink", "pear, dog, green", "banana", "banana, cat"},
		},
		"only include": {`{include: [{a: 1}, {a: 2, b: x}]}`, []string{"1", "2, x"}},
		"expression":   {`"${{ fromJSON(needs.plan.outputs.m) }}"`, []string{"x", "y"}},
		"row from one": {`{os: "${{ fromJSON(needs.plan.outputs.l) }}"}`, []string{"p", "q"}},
		"objects":      {`{t: [{n: 1, m: b}]}`, []string{"b, 1"}},
		"empty row":    {`{os: []}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w, faults := workflow.Parse(file, []byte("on: push\njobs:\n  plan: {runs-on: x, steps: [{run: 'true'}]}\n  a:\n    needs: plan\n    runs-on: x\n    strategy:\n      matrix: "+c.matrix+"\n    steps: [{run: 'true'}]\n"))
			if len(faults) > 0 {
				if c.want != nil {
					t.Fatal(faults)
				}
				return // actionlint refuses an empty row, as GitHub does
			}
			legs, err := w.Find("a").Matrix.Legs(expr.Scope{Contexts: map[string]any{
				"needs": map[string]any{"plan": map[string]any{"outputs": map[string]any{"m": `{"os":["x","y"]}`, "l": `["p","q"]`}}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range legs {
				got = append(got, l.Label())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("legs (-want +got):\n%s", d)
			}
		})
	}
}

func TestTooManyLegs(t *testing.T) {
	row := strings.TrimSuffix(strings.Repeat("1,", 17), ",")
	w := parse(t, fmt.Sprintf("on: push\njobs: {a: {runs-on: x, strategy: {matrix: {a: [%s], b: [%s]}}, steps: [{run: 'true'}]}}", row, row))
	if _, err := w.Jobs[0].Matrix.Legs(expr.Scope{}); err == nil {
		t.Error("289 legs were allowed, want at most 256")
	}
}

func TestScalars(t *testing.T) {
	w := parse(t, "on: push\njobs: {a: {runs-on: x, strategy: {matrix: {v: [1, 1.20, true, x]}}, steps: [{run: 'true'}]}}")
	want := []expr.Value{1.0, "1.20", true, "x"}
	if d := cmp.Diff(want, w.Jobs[0].Matrix.Rows[0].Values); d != "" {
		t.Error(d)
	}
}

func TestRunsOn(t *testing.T) {
	for text, want := range map[string]workflow.Job{
		`linux`:                                 {Labels: []string{"linux"}},
		`[self-hosted, X64]`:                    {Labels: []string{"self-hosted", "X64"}},
		`{group: big}`:                          {Group: "big"},
		`{group: big, labels: [a, b]}`:          {Group: "big", Labels: []string{"a", "b"}},
		`{labels: a}`:                           {Labels: []string{"a"}},
		`"${{ fromJSON('[1]') }}"`:              {LabelsFrom: "${{ fromJSON('[1]') }}"},
		`["${{ github.ref_name }}", x]`:         {Labels: []string{"${{ github.ref_name }}", "x"}},
		`"ubuntu-${{ inputs.version || 'x' }}"`: {Labels: []string{"ubuntu-${{ inputs.version || 'x' }}"}},
	} {
		j := parse(t, "on: push\njobs: {a: {runs-on: "+text+", steps: [{run: 'true'}]}}").Jobs[0]
		got := workflow.Job{Labels: j.Labels, Group: j.Group, LabelsFrom: j.LabelsFrom}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
}

func TestJobAndSteps(t *testing.T) {
	w := parse(t, `
name: CI
on: {push: , workflow_dispatch: {inputs: {a: {default: x}}}}
env: {Z: 1, A: 2}
defaults: {run: {shell: sh, working-directory: src}}
jobs:
  Second:
    runs-on: x
    needs: [first]
    if: ${{ needs.first.result == 'success' }}
    timeout-minutes: 5
    environment: {name: prod}
    continue-on-error: true
    outputs: {o: "${{ steps.s.outputs.o }}"}
    defaults: {run: {shell: bash}}
    env: {E: "${{ secrets.GITHUB_TOKEN }}"}
    steps:
      - {id: s, name: N, run: "echo", shell: sh, working-directory: d, env: {K: v}, if: always(), timeout-minutes: 1, continue-on-error: "${{ matrix.x }}"}
      - {uses: actions/checkout@v4, with: {path: p}}
  first:
    runs-on: x
    strategy: {fail-fast: false, max-parallel: 3, matrix: {a: [1]}}
    steps: [{run: "true"}]
`)
	want := []workflow.Job{{
		Key: "Second", Needs: []string{"first"}, If: "${{ needs.first.result == 'success' }}", Labels: []string{"x"},
		Env: []workflow.Variable{{Name: "E", Value: "${{ secrets.GITHUB_TOKEN }}"}}, Outputs: []workflow.Variable{{Name: "o", Value: "${{ steps.s.outputs.o }}"}},
		Environment: "prod", Shell: "bash", WorkingDirectory: "src", Timeout: 5, ContinueOnError: "true", FailFast: true,
		Steps: []workflow.Step{
			{ID: "s", Name: "N", If: "always()", Run: "echo", Shell: "sh", WorkingDirectory: "d", Env: []workflow.Variable{{Name: "K", Value: "v"}}, ContinueOnError: "${{ matrix.x }}", Timeout: 1},
			{Uses: "actions/checkout@v4", With: []workflow.Variable{{Name: "path", Value: "p"}}},
		},
	}, {
		Key: "first", Labels: []string{"x"}, Shell: "sh", WorkingDirectory: "src", Timeout: workflow.DefaultTimeout, MaxParallel: 3,
		Matrix: &workflow.Matrix{Rows: []workflow.Row{{Name: "a", Values: []expr.Value{1.0}}}},
		Steps:  []workflow.Step{{Run: "true"}},
	}}
	if d := cmp.Diff(want, w.Jobs); d != "" {
		t.Errorf("jobs (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]workflow.Variable{{Name: "Z", Value: "1"}, {Name: "A", Value: "2"}}, w.Env); d != "" {
		t.Errorf("env: %s", d)
	}
	if !w.Dispatchable() || w.Inputs(nil)["a"] != "x" || w.Inputs(map[string]string{"a": "y"})["a"] != "y" {
		t.Errorf("inputs are %v", w.Inputs(nil))
	}
}

func TestFaults(t *testing.T) {
	job := func(text string) string {
		return "on: push\njobs:\n  a:\n    " + text + "\n    steps: [{run: 'true'}]\n"
	}
	for text, want := range map[string]string{
		"on: push\njobs: [":                                                                 ":2:",
		"on: push\n":                                                                        `"jobs" section is missing`,
		job("runs-on: x\n    needs: b"):                                                     `:5:12: job "a" needs "b"`,
		job("runs-on: x\n    needs: a"):                                                     "no circle",
		job("runs-on: x\n    if: github.x == "):                                             ":5:9: expression",
		job("runs-on: x\n    if: env.X == 1"):                                               `context "env" is not known here`,
		job("runs-on: x\n    container: alpine"):                                            "container is not supported",
		job("runs-on: x\n    services: {a: {image: b}}"):                                    "services are not supported",
		job("runs-on: ${{ secrets.X }}"):                                                    `:4:14: expression "secrets.X"`,
		job("runs-on: x\n    concurrency: c"):                                               "concurrency is not supported",
		"on: push\njobs: {a: {uses: ./.github/workflows/b.yml}}":                            "reusable workflows are not supported",
		"on: push\njobs: {a: {runs-on: x, steps: [{uses: actions/cache}]}}":                 `uses "actions/cache": want owner/name@ref`,
		"on: {push: {branches: ['[']}}\njobs: {a: {runs-on: x, steps: [{run: a}]}}":         `pattern "["`,
		"on: push\njobs: {a: {runs-on: x, timeout-minutes: '${{ 1 }}', steps: [{run: a}]}}": "timeout-minutes as an expression",
	} {
		w, faults := workflow.Parse(file, []byte(text))
		if w != nil || len(faults) == 0 {
			t.Errorf("%q has no faults", text)
			continue
		}
		if got := faults[0].Error(); !strings.Contains(got, want) || !strings.HasPrefix(got, file+":") {
			t.Errorf("%q: fault %q, want %q", text, got, want)
		}
	}
}

func TestIsFile(t *testing.T) {
	for name, want := range map[string]bool{
		".github/workflows/a.yml": true, ".github/workflows/a.yaml": true, ".github/workflows/sub/a.yml": false, "a.yml": false, ".github/workflows/a.md": false,
	} {
		if workflow.IsFile(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(withOn("push"))
	f.Add("on: {push: {branches: ['a**?+[b-c]']}}\njobs: {a: {runs-on: '${{ x }}', strategy: {matrix: {a: [1, {b: c}], include: [{a: 1}]}}, steps: [{run: a}]}}")
	f.Fuzz(func(t *testing.T, text string) {
		w, faults := workflow.Parse(file, []byte(text))
		if (w == nil) != (len(faults) > 0) {
			t.Fatalf("workflow %v with faults %v", w, faults)
		}
		if w == nil {
			return
		}
		w.Pushed("refs/heads/main", []string{"a"})
		for _, j := range w.Jobs {
			if legs, err := j.Matrix.Legs(expr.Scope{}); err == nil && len(legs) > workflow.MaxLegs {
				t.Errorf("%d legs", len(legs))
			}
		}
	})
}
