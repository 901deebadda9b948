package githubsim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// describe gives each job as "name [labels] group", with what it became.
func (w *world) describe() []string {
	var out []string
	for _, j := range w.Jobs() {
		text := fmt.Sprintf("%s %q", j.Name, j.Labels)
		if j.Group != "" {
			text += " of " + j.Group
		}
		out = append(out, text+" "+first(j.Conclusion, j.Status))
	}
	return out
}

func first(texts ...string) string {
	i := slices.IndexFunc(texts, func(t string) bool { return t != "" })
	return texts[max(i, 0)]
}

// callee is what 13-reusable.yml calls.
const callee = `
on:
  workflow_call:
    inputs: {runner: {type: string, required: true}}
jobs:
  build:
    runs-on: ${{ fromJSON(inputs.runner) }}
    steps: [{run: "true"}]
`

// TestField has what GitHub makes of workflows that were seen in the field.
func TestField(t *testing.T) {
	small := `["self-hosted" "linux" "small"]`
	hundred := "1010" // the run's id in a new Sim
	for file, want := range map[string][]string{
		"01-runson-slash":   {`build ["runs-on=` + hundred + `/runner=2cpu-linux-x64/extras=s3-cache"] queued`},
		"02-runson-comma":   {`deploy ["runs-on=` + hundred + `,runner=1cpu-linux-x64,tag=deploy-job"] queued`},
		"03-codebuild":      {`my-job ["codebuild-myProject-` + hundred + `-1"] queued`},
		"04-fromjson-owner": {`runner-selection ["self-hosted" "linux" "x64" "ubuntu-latest-aws"] queued`},
		"05-fromjson-vars":  {`a ["ubuntu-latest"] queued`, `b ["self-hosted" "linux" "big"] queued`},
		"06-group": {
			`only-group [] of aws-general-8-plus queued`, `group-and-labels ` + small + ` of My Group queued`, `group-one-label ["small"] of builds queued`,
		},
		"07-matrix-mixed":       {`test (ubuntu-latest) ["ubuntu-latest"] queued`, `test (self-hosted, linux, small) ` + small + ` queued`},
		"08-matrix-label":       {`test (small) ["self-hosted" "small"] queued`},
		"09-codeql-ternary":     {`Analyze (javascript-typescript) ["ubuntu-latest"] queued`},
		"10-anchors":            {`a ` + small + ` queued`, `b ` + small + ` queued`},
		"11-concurrency":        {`cuda ["self-hosted" "linux" "x64" "gpu" "nvidia"] queued`},
		"12-container-services": {`db ` + small + ` queued`},
		"13-reusable":           {`call / build ["self-hosted"] queued`},
		"14-environment":        {`migrate-dev ["self-hosted"] queued`, `migrate-prod ["self-hosted"] waiting`},
		"15-snapshot-case":      {`a ` + small + ` queued`},
		"16-upper-spaces": {
			`a ["self-hosted" "Linux" "SMALL"] queued`,
			`build 🦄 (1.2) / x=1, y ` + small + ` queued`, `build 🦄 (1.30) / x=1, y ` + small + ` queued`, `build 🦄 (true) / x=1, y ` + small + ` queued`,
		},
		"20-oom":    {`oom-takes-runner ["self-hosted" "linux" "large"] queued`, `hungry-step ` + small + ` queued`},
		"21-limits": {`limits ` + small + ` queued`},
		"22-disk":   {`filler ["self-hosted" "linux"] queued`},
	} {
		t.Run(file, func(t *testing.T) {
			w := newWorld(t)
			w.repository(githubsim.Repository{
				Name: "boostorg/web", Protected: []string{"production"}, Variables: map[string]string{"POOL": `["self-hosted","linux","big"]`},
			})
			text, err := os.ReadFile(filepath.Join("../workflow/testdata/field", file+".yml"))
			if err != nil {
				t.Fatal(err)
			}
			runs, err := w.Push(githubsim.Push{Repository: "boostorg/web", Files: map[string]string{
				".github/workflows/ci.yml": string(text), ".github/workflows/callee.yml": callee,
			}})
			if err != nil {
				t.Fatal(err)
			}
			got := w.describe()
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], fmt.Sprint(runs[0].ID), hundred)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("jobs (-want +got):\n%s", d)
			}
		})
	}
}

// TestFieldOutputsAsLabels goes on with 04-fromjson-owner.yml.
func TestFieldOutputsAsLabels(t *testing.T) {
	w := newWorld(t)
	text, err := os.ReadFile("../workflow/testdata/field/04-fromjson-owner.yml")
	if err != nil {
		t.Fatal(err)
	}
	w.push(string(text))
	if err := w.CompleteHosted(w.job("runner-selection").ID, githubsim.Success, map[string]any{"labelmatrix": `{"ubuntu-22.04":["self-hosted","linux","small"]}`}); err != nil {
		t.Fatal(err)
	}
	want := []string{`runner-selection ["ubuntu-latest"] success`, `test (ubuntu-22.04) ["self-hosted" "linux" "small"] queued`}
	if d := cmp.Diff(want, w.describe()); d != "" {
		t.Errorf("jobs (-want +got):\n%s", d)
	}
}

// TestFieldIsWhole: a new file has its line in TestField.
func TestFieldIsWhole(t *testing.T) {
	files, err := filepath.Glob("../workflow/testdata/field/*.yml")
	if err != nil || len(files) != 19 {
		t.Errorf("%d files, %v: want those of TestField", len(files), err)
	}
}

// repository makes another repository.
func (w *world) repository(r githubsim.Repository) {
	w.t.Helper()
	if err := w.CreateRepository(r); err != nil {
		w.t.Fatal(err)
	}
}
