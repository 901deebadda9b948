package lint_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/lint"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

var update = flag.Bool("update", false, "write the golden file")

var pools = pool.Set{
	{Name: "small", Labels: []string{"self-hosted", "linux", "small"}},
	{Name: "gpu", Labels: []string{"self-hosted", "linux", "x64", "gpu", "nvidia"}, RunnerGroup: "Big machines"},
}

// TestField holds the workflows of people against two pools. What comes out was checked by hand, line by line.
func TestField(t *testing.T) {
	files, err := lint.Read("../github/workflow/testdata/field")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range lint.Check(lint.Config{Pools: pools}, files...) {
		f.File = filepath.Base(f.File)
		got.WriteString(strings.ReplaceAll(f.String(), "../github/workflow/testdata/field/", "") + "\n")
	}
	const golden = "testdata/field.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestRunsOn tells where jobs go by what stands after runs-on.
func TestRunsOn(t *testing.T) {
	for _, c := range []struct{ name, job, want string }{
		{"a label", "runs-on: small", "note pool"},
		{"case", "runs-on: [Self-Hosted, SMALL]", "note pool"},
		{"a comma is part of a label", "runs-on: 'linux,small'", "error no-pool"},
		{"no pool", "runs-on: [self-hosted, arm64]", "error no-pool"},
		{"GitHub's", "runs-on: ubuntu-24.04-arm", "note github-hosted"},
		{"two pools", "runs-on: [self-hosted, linux]", "note pool, note several-pools"},
		{"legs", "strategy: {matrix: {os: [small, gpu, ubuntu-latest]}}\n    runs-on: ['${{ matrix.os }}']", "note github-hosted, note pool, note pool"},
		{"legs of lists", "strategy: {matrix: {os: [[linux, small], ubuntu-latest]}}\n    runs-on: ${{ matrix.os }}", "note github-hosted, note pool"},
		{"excluded", "strategy: {matrix: {os: [small, mips], exclude: [{os: mips}]}}\n    runs-on: ${{ matrix.os }}", "note pool"},
		{"object", `runs-on: ${{ fromJSON('{"group":"g","labels":["small"]}') }}`, "note pool, warning group"},
		{"either", "runs-on: ${{ github.event_name == 'push' && 'small' || 'mips' }}", "note pool, warning no-pool"},
		{"negated", "runs-on: ${{ !github.event.forced && 'small' || 'gpu' }}", "note pool, note pool"},
		{"case()", "runs-on: ${{ case(github.ref == 'a', 'small', 'mips') }}", "note pool, warning no-pool"},
		{"variable", "runs-on: ${{ vars.POOL }}", "note not-static"},
		{"variable with default", "runs-on: ${{ vars.POOL || 'small' }}", "note not-static, note pool"},
		{"format", "runs-on: ${{ format('{0}{1}', 'sm', 'all') }}", "note pool"},
		{"this repository", "runs-on: ${{ github.repository_owner == 'acme' && 'small' || 'mips' }}", "note pool"},
		{"matrix of another job", "strategy: {matrix: '${{ fromJSON(needs.x.outputs.m) }}'}\n    runs-on: ${{ matrix.os }}", "note not-static"},
		{"of a run", "runs-on: [linux, 'r-${{ github.run_id }}']", "error varying-label"},
		{"group of the pool", "runs-on: {group: org/Big machines, labels: gpu}", "note pool"},
		{"another group", "runs-on: {group: builds, labels: gpu}", "note pool, warning group"},
		{"group alone", "runs-on: {group: big}", "error group"},
		{"unfinished", "runs-on: ${{ fromJSON('[') }}", "note not-static"},
	} {
		text := "on: push\njobs:\n  x:\n    runs-on: ubuntu-latest\n    steps: [{run: 'true'}]\n  a:\n    needs: x\n    " + c.job + "\n    steps: [{run: 'true'}]\n"
		var got []string
		for _, f := range lint.Check(lint.Config{Pools: pools, Repository: "acme/web"}, lint.File{Name: "a.yml", Text: []byte(text)}) {
			if f.Job != "x" {
				got = append(got, string(f.Level)+" "+f.Rule)
			}
		}
		slices.Sort(got)
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestCalledWorkflow: a reusable workflow's labels are what its callers give it.
func TestCalledWorkflow(t *testing.T) {
	callee := lint.File{Name: ".github/workflows/callee.yml", Text: []byte(`on:
  workflow_call:
    inputs: {runner: {type: string, default: mips}}
jobs:
  a:
    runs-on: ${{ inputs.runner }}
    steps: [{run: "true"}]
`)}
	caller := func(with string) lint.File {
		return lint.File{Name: ".github/workflows/caller.yml", Text: []byte("on: push\njobs:\n  call:\n    uses: ./.github/workflows/callee.yml\n" + with)}
	}
	for name, c := range map[string]struct {
		files []lint.File
		want  string
	}{
		"called elsewhere": {[]lint.File{callee}, lint.RuleUnknown},
		"with a pool":      {[]lint.File{caller("    with: {runner: small}\n"), callee}, lint.RulePool},
		"with the default": {[]lint.File{caller(""), callee}, lint.RuleNoPool},
		"with a variable":  {[]lint.File{caller("    with: {runner: '${{ vars.X }}'}\n"), callee}, lint.RuleUnknown},
	} {
		found := lint.Check(lint.Config{Pools: pools}, c.files...)
		if len(found) != 1 || found[0].Rule != c.want || found[0].Line != 6 {
			t.Errorf("%s: %v, want %s", name, found, c.want)
		}
	}
}

// TestSharedRunner: GitHub gives a runner to any job that asks for no more than the runner has.
func TestSharedRunner(t *testing.T) {
	text := "on: push\njobs:\n" +
		"  train:\n    runs-on: [self-hosted, gpu]\n    steps: [{run: 'true'}]\n" +
		"  test:\n    runs-on: self-hosted\n    steps: [{run: 'true'}]\n"
	var got []lint.Finding
	for _, f := range lint.Check(lint.Config{Pools: pools}, lint.File{Name: "a.yml", Text: []byte(text)}) {
		if f.Rule == lint.RuleShared {
			got = append(got, f)
		}
	}
	if len(got) != 1 || got[0].Job != "train" || got[0].Level != lint.Warning || !strings.Contains(got[0].Message, "test (a.yml:7) of pool small") {
		t.Errorf("%+v: want a warning at train, which test of the other pool may take from", got)
	}
}

// TestRepositories: a pool for some repositories takes no job of others.
func TestRepositories(t *testing.T) {
	own := pool.Set{{Name: "a", Labels: []string{"small"}, Repositories: []string{"acme/web"}, OfOrganization: true}}
	text := []byte("on: push\njobs:\n  a:\n    runs-on: small\n    steps: [{run: 'true'}]\n")
	for name, c := range map[string]struct {
		config lint.Config
		want   string
	}{
		"its own":      {lint.Config{Repository: "acme/web"}, lint.RulePool},
		"another":      {lint.Config{Repository: "acme/api"}, lint.RuleNoPool},
		"a user's":     {lint.Config{Repository: "acme/web", Personal: true}, lint.RuleNoPool},
		"is not known": {lint.Config{}, lint.RulePool},
	} {
		c.config.Pools = own
		if found := lint.Check(c.config, lint.File{Name: "a.yml", Text: text}); len(found) != 1 || found[0].Rule != c.want {
			t.Errorf("%s: %v, want %s", name, found, c.want)
		}
	}
}

func TestFaults(t *testing.T) {
	found := lint.Check(lint.Config{}, lint.File{Name: "a.yml", Text: []byte("on: push\njobs:\n  a:\n    runs-on: x\n    stepz: []\n")})
	if len(found) != 2 || found[1].Rule != lint.RuleSyntax || found[1].Line != 5 {
		t.Errorf("%v: want the place of stepz", found)
	}
}

func TestSARIF(t *testing.T) {
	var out bytes.Buffer
	found := []lint.Finding{{File: "a.yml", Line: 2, Column: 3, Level: lint.Error, Rule: lint.RuleNoPool, Message: "m", Fix: "f"}}
	if err := lint.WriteSARIF(&out, "1.2.3", found); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string
		Runs    []struct {
			Results []struct {
				RuleID, Level string
				Message       struct{ Text string }
				Locations     []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn int }
					}
				}
			}
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	r := log.Runs[0].Results[0]
	at := r.Locations[0].PhysicalLocation
	if log.Version != "2.1.0" || r.RuleID != "no-pool" || r.Level != "error" || r.Message.Text != "m. Fix: f" || at.ArtifactLocation.URI != "a.yml" ||
		at.Region.StartLine != 2 || at.Region.StartColumn != 3 || len(log.Runs[0].Tool.Driver.Rules) != len(lint.Rules) {
		t.Errorf("%s", &out)
	}
}

func FuzzCheck(f *testing.F) {
	files, err := lint.Read("../github/workflow/testdata/field")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(file.Text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, found := range lint.Check(lint.Config{Pools: pools}, lint.File{Name: "a.yml", Text: text}) {
			if found.Line < 1 || found.Rule == "" || found.Message == "" {
				t.Errorf("%+v", found)
			}
		}
	})
}
