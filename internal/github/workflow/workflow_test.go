package workflow_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
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
			[]string{"apple, cat", "apple, dog", "pear, cat", "pear, dog", "banana", "banana, cat"},
		},
		"only include":     {`{include: [{a: 1}, {a: 2, b: x}]}`, []string{"1", "2, x"}},
		"include, by rows": {`{os: [a], include: [{arch: arm, os: b}]}`, []string{"a", "b, arm"}},
		"include of one":   {`{include: ["${{ fromJSON('{\"a\": 7}') }}"]}`, []string{"7"}},
		"lists in include": {`{include: [{os: [self-hosted, linux]}, {os: x}]}`, []string{"self-hosted, linux", "x"}},
		"empty texts":      {`{a: ["", x], b: [y]}`, []string{"y", "x, y"}},
		"inside a list":    {`{a: [[x, "${{ fromJSON('1.50') }}"]]}`, []string{"x, 1.5"}},
		"expression":       {`"${{ fromJSON(needs.plan.outputs.m) }}"`, []string{"x", "y"}},
		"row from one":     {`{os: "${{ fromJSON(needs.plan.outputs.l) }}"}`, []string{"p", "q"}},
		"objects":          {`{t: [{n: 1, m: b}]}`, []string{"b, 1"}},
		"empty row":        {`{os: []}`, nil},
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
				name, _ := strings.CutSuffix(strings.TrimPrefix(l.Name("j"), "j ("), ")")
				got = append(got, name)
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

// TestScalars has what GitHub makes of YAML's scalars: quoted ones are texts.
func TestScalars(t *testing.T) {
	w := parse(t, `
on: push
jobs:
  a:
    runs-on: x
    strategy: {matrix: {v: [1, 1.20, "1.30", '2', true, "true", x, null, ~, 0x1F, 0o17, .5, 1e3, 1_000, !!str 5, &b "6", "🦄", "7"], w: [*b, 8]}}
    steps: [{run: 'true'}]
`[1:])
	want := [][]expr.Value{
		{1.0, 1.2, "1.30", "2", true, "true", "x", nil, nil, 31.0, 15.0, 0.5, 1000.0, "1_000", "5", "6", "🦄", "7"}, {"6", 8.0},
	}
	for i, row := range w.Jobs[0].Matrix.Rows {
		if d := cmp.Diff(want[i], row.Values); d != "" {
			t.Errorf("%s (-want +got):\n%s", row.Name, d)
		}
	}
}

func TestNames(t *testing.T) {
	leg := workflow.Leg{Names: []string{"a", "b"}, Values: map[string]expr.Value{"a": strings.Repeat("x", 90), "b": "yyyyyyyyyyyyyyyyyyy"}}
	if got := leg.Name("build"); len(got) != 100 || !strings.HasSuffix(got, "xx...") {
		t.Errorf("%d characters: %s", len(got), got)
	}
	leg.Values["a"] = strings.Repeat("🦄", 50) // two units each
	if got := leg.Name("build"); !strings.HasSuffix(got, "🦄...") || len([]rune(got)) != 7+45+3 {
		t.Errorf("%d characters: %s", len([]rune(got)), got)
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
		Environment: "prod", Shell: "bash", WorkingDirectory: "src", Timeout: "5", ContinueOnError: "true", FailFast: "true",
		Steps: []workflow.Step{
			{ID: "s", Name: "N", If: "always()", Run: "echo", Shell: "sh", WorkingDirectory: "d", Env: []workflow.Variable{{Name: "K", Value: "v"}}, ContinueOnError: "${{ matrix.x }}", Timeout: "1"},
			{Uses: "actions/checkout@v4", With: []workflow.Variable{{Name: "path", Value: "p"}}},
		},
	}, {
		Key: "first", Labels: []string{"x"}, Shell: "sh", WorkingDirectory: "src", Timeout: workflow.DefaultTimeout, FailFast: "false", MaxParallel: "3",
		Matrix: &workflow.Matrix{Rows: []workflow.Row{{Name: "a", Values: []expr.Value{1.0}}}},
		Steps:  []workflow.Step{{Run: "true"}},
	}}
	if d := cmp.Diff(want, w.Jobs, cmpopts.IgnoreFields(workflow.Job{}, "Line", "Column", "RunsOnLine", "RunsOnCol")); d != "" {
		t.Errorf("jobs (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]workflow.Variable{{Name: "Z", Value: "1"}, {Name: "A", Value: "2"}}, w.Env); d != "" {
		t.Errorf("env: %s", d)
	}
	if got, err := w.Dispatch.Values(nil, expr.Scope{}); err != nil || got["a"] != "x" {
		t.Errorf("inputs are %v, %v", got, err)
	}
}

func TestFaults(t *testing.T) {
	job := func(text string) string {
		return "on: push\njobs:\n  a:\n    " + text + "\n    steps: [{run: 'true'}]\n"
	}
	for text, want := range map[string]string{
		"on: push\njobs: [":                                             ":2:",
		"on: push\n":                                                    `"jobs" section is missing`,
		job("runs-on: x\n    needs: b"):                                 `:5:12: job "a" needs "b"`,
		job("runs-on: x\n    needs: a"):                                 "no circle",
		job("runs-on: x\n    if: github.x == "):                         ":5:9: expression",
		job("runs-on: x\n    if: env.X == 1"):                           `context "env" is not known here`,
		job("runs-on: ${{ secrets.X }}"):                                `:4:14: expression "secrets.X"`,
		job("runs-on: x\n    concurrency: {group: '${{ secrets.X }}'}"): `context "secrets" is not known here`,
		job("runs-on: x\n    concurrency: {group: a, queue: lifo}"):     `queue "lifo": want single or max`,
		job("runs-on: x\n    concurrency: {group: a, queue: max, cancel-in-progress: true}"): "want one of the two",
		"on: push\njobs: {a: {uses: ./workflows/b.yml}}":                                     `uses "./workflows/b.yml"`,
		"on: push\njobs: {a: {uses: acme/lib/.github/workflows/b.yml}}":                      "OWNER/REPO/.github/workflows/FILE.yml@REF",
		"on: {schedule: [{cron: '61 * * * *'}]}\njobs: {a: {runs-on: x, steps: [{run: a}]}}": `cron "61 * * * *"`,
		"on: push\njobs: {a: {runs-on: x, steps: [{uses: actions/cache}]}}":                  `uses "actions/cache": want owner/name@ref`,
		"on: {push: {branches: ['[']}}\njobs: {a: {runs-on: x, steps: [{run: a}]}}":          `pattern "["`,
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
