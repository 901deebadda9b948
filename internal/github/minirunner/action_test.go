package minirunner_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

// publish makes an action, owner/name@ref, one that the launch service knows and
// that can be downloaded.
func (f *fake) publish(action string, files map[string]string) {
	name, ref, _ := strings.Cut(action, "@")
	top := map[string]string{}
	for path, text := range files {
		top["top-1234/"+path] = text
	}
	path := "/tarball/" + action
	f.files[path] = archive(f.t, top)
	if f.launch == nil {
		f.launch = object{"actions": object{}}
	}
	f.launch["actions"].(object)[action] = object{
		"name": name, "resolved_name": name, "resolved_sha": "5a5a", "version": ref, "tar_url": f.url + path,
		"authentication": object{"token": "ghs_download"},
	}
}

const resolve = "POST /actions/build/plan/jobs/job/runnerresolve/actions"

// TestComposite: an action of steps, with inputs, outputs, an environment of its
// own, an action inside, and steps that fail and go on.
func TestComposite(t *testing.T) {
	use := uses("greet", "acme/greet@v1", object{"WHO": "world"})
	use["environment"] = object{"type": 2, "map": []any{object{"key": "AROUND", "value": "around"}}}
	f := newFake(t, use, script("after", `echo "after: $LEFT $(tool)"`, "success()"))
	f.job["steps"].([]any)[1].(object)["displayNameToken"] = object{"type": 3, "expr": "format('said {0}', steps.greet.outputs.said)"}
	f.publish("acme/greet@v1", map[string]string{"action.yml": `
name: greet
inputs:
  who: {required: true}
  mark: {default: "${{ github.repository }}!"}
outputs:
  said: {value: "${{ steps.say.outputs.text }}"}
runs:
  using: composite
  steps:
    - id: say
      shell: bash
      env: {WHO: "${{ inputs.who }}", INNER: inner}
      run: |
        echo "text=hello $WHO, ${{ inputs.mark }}" >> $GITHUB_OUTPUT
        echo "$AROUND $INNER $(cat $GITHUB_ACTION_PATH/data) of $(basename ${{ github.action_path }})"
        echo LEFT=left >> $GITHUB_ENV
        mkdir -p tools && printf '#!/bin/sh\necho tool' > tools/tool && chmod +x tools/tool && echo $PWD/tools >> $GITHUB_PATH
    - uses: acme/inner@main
      id: inner
      with: {value: "${{ steps.say.outputs.text }}"}
    - {run: "echo inner gave ${{ steps.inner.outputs.twice }}; exit 4", shell: sh, continue-on-error: true, id: tolerated}
    - {if: "${{ failure() }}", run: echo unreached, shell: bash}
    - {if: "steps.tolerated.outcome == 'failure'", run: "echo ${{ steps.tolerated.conclusion }} it is", shell: bash}
`, "data": "data\n"})
	f.publish("acme/inner@main", map[string]string{"action.yaml": `
inputs: {value: {}}
outputs: {twice: {value: "${{ inputs.value }} ${{ inputs.value }}"}}
runs: {using: composite, steps: [{run: "echo value ${{ inputs.value }}; echo dir $PWD", shell: bash}]}
`})
	f.offer()
	r := start(t.Context(), t, f.config())
	code, out := r.wait()
	exited(t, code, minirunner.ExitDone, out)
	want := map[string]string{
		"Set up job": "succeeded", "greet": "succeeded", "said hello world, acme/web!": "succeeded", "Complete job": "succeeded",
	}
	if diff := cmp.Diff(want, f.steps()); diff != "" {
		t.Errorf("steps (-want +got):\n%s\n%s", diff, f.log())
	}
	log := f.log()
	has(t, log, "Getting action download info", "Download action repository 'acme/greet@v1' (SHA:5a5a)", "##[group]Run acme/greet@v1\n", "  who: world\n",
		"  mark: acme/web!\n", "Z around inner data of v1\n", "Z value hello world, acme/web!\n", "Z dir "+filepath.Join(r.root, "_work/web/web"),
		"Z inner gave hello world, acme/web! hello world, acme/web!", "##[error]Process completed with exit code 4.", "Z success it is\n", "Z after: left tool\n")
	lacks(t, log, "Z unreached", "ghs_download")
	if n := f.count(resolve); n != 2 {
		t.Errorf("%d calls of the launch service, want one for the job and one for what is inside", n)
	}
	if _, err := os.Stat(filepath.Join(r.root, "_work/_actions/acme/greet/v1.completed")); err != nil {
		t.Error(err)
	}
}

// TestCompositeFails: what fails in an action fails its step; what is to run then does.
func TestCompositeFails(t *testing.T) {
	f := newFake(t, uses("broken", "acme/broken@v1", nil), script("after", "echo unreached", "success()"))
	f.publish("acme/broken@v1", map[string]string{"action.yml": `
runs:
  using: composite
  steps:
    - {run: exit 5, shell: bash}
    - {run: echo unreached, shell: bash}
    - {if: always(), run: echo tidy, shell: bash}
    - {if: failure(), run: "echo ${{ secrets.GITHUB_TOKEN }}", shell: bash}
`})
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	has(t, f.log(), "##[error]Process completed with exit code 5.", "Z tidy\n", `context "secrets" is not known here`)
	lacks(t, f.log(), "Z unreached")
	if got := f.steps(); got["broken"] != "failed" || got["after"] != "skipped" {
		t.Errorf("steps %v", got)
	}
}

// javascript is an action that tells what it sees in each of its stages.
var javascript = map[string]string{
	"action.yml": `
inputs:
  some name: {default: fallback}
  given: {}
runs: {using: node20, main: dist/main.js, pre: pre.js, post: post.js, post-if: always()}
`,
	"pre.js": `
const fs = require('fs')
console.log('pre sees ' + process.env['INPUT_SOME_NAME'])
fs.appendFileSync(process.env.GITHUB_STATE, 'from=pre\n')`,
	"dist/main.js": `
const fs = require('fs'), e = process.env
console.log('main sees ' + e.INPUT_GIVEN + ' ' + e.STATE_from + ' ' + e.GITHUB_ACTION_REPOSITORY + '@' + e.GITHUB_ACTION_REF + ' ' + (e.GITHUB_TOKEN || 'no token'))
console.log(e.ACTIONS_RUNTIME_TOKEN.split('.').length, e.ACTIONS_RUNTIME_URL.length > 0, e.ACTIONS_RESULTS_URL.length > 0, e.RUNNER_ENVIRONMENT, process.cwd() == e.GITHUB_WORKSPACE)
fs.appendFileSync(e.GITHUB_OUTPUT, 'answer<<END\n42\nEND\n')
fs.appendFileSync(e.GITHUB_STATE, 'from=main\n')
fs.appendFileSync(e.GITHUB_STEP_SUMMARY, '# Summary\n')
console.log('::warning file=a.js,line=3,endLine=4::careful')
console.log('::add-mask::hidden')
if (e.INPUT_GIVEN == 'fail') { console.log('::error::it failed'); process.exitCode = 1 }`,
	"post.js": `console.log('post sees ' + process.env.STATE_from)`,
}

func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("no node here")
	}
}

// TestJavaScript runs an action of two steps in its three stages each.
func TestJavaScript(t *testing.T) {
	needNode(t)
	f := newFake(t,
		script("first", "echo first", "success()"),
		uses("one", "acme/js@v2", object{"given": "good"}),
		uses("two", "acme/js@v2", object{"given": "fail"}),
		script("last", "echo answer ${{ x }}", "always()"),
	)
	f.job["steps"].([]any)[3].(object)["inputs"] = object{"type": 2, "map": []any{
		object{"key": "script", "value": object{"type": 3, "expr": "format('echo answer {0}', steps.one.outputs.answer)"}},
	}}
	f.publish("acme/js@v2", javascript)
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	want := map[string]string{
		"Set up job": "succeeded", "Pre one": "succeeded", "Pre two": "succeeded", "first": "succeeded", "one": "succeeded", "two": "failed",
		"last": "succeeded", "Post one": "succeeded", "Post two": "succeeded", "Complete job": "succeeded",
	}
	if diff := cmp.Diff(want, f.steps()); diff != "" {
		t.Errorf("steps (-want +got):\n%s\n%s", diff, f.log())
	}
	has(t, f.log(), "Z pre sees fallback\n", "Z main sees good pre acme/js@v2 no token\n", "Z 3 true true self-hosted true\n", "##[warning]careful",
		"##[error]it failed\n", "Z answer 42\n", "Z Post job cleanup.\n", "Z post sees main\n")
	lacks(t, f.log(), "Process completed")
	if strings.Index(f.log(), "pre sees") > strings.Index(f.log(), "Z first\n") {
		t.Error("the pre stage ran after a step")
	}
	if f.blobs["/blob/summary"] == "" || f.count(resolve) != 1 {
		t.Errorf("summary %q, %d calls of the launch service", f.blobs["/blob/summary"], f.count(resolve))
	}
	var numbers []any
	for _, s := range f.last("POST /run/completejob")["stepResults"].([]any) {
		if s := s.(object); s["name"] == "one" {
			numbers = append(numbers, s["action_name"], s["ref"], s["type"], s["annotations"].([]any)[0].(object)["endLine"])
		}
	}
	if diff := cmp.Diff([]any{"acme/js", "v2", "node20", 4.0}, numbers); diff != "" {
		t.Errorf("report of a step (-want +got):\n%s", diff)
	}
}

// TestNodeOfTheRunner: the runner's own node goes before the machine's, and one is
// needed.
func TestNodeOfTheRunner(t *testing.T) {
	f := newFake(t, uses("one", "acme/js@v2", nil))
	f.publish("acme/js@v2", map[string]string{"action.yml": "runs: {using: node24, main: main.js}", "main.js": ""})
	f.offer()
	c := f.config()
	node := filepath.Join(c.Root, "externals", "node24", "bin", "node")
	if err := os.MkdirAll(filepath.Dir(node), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(node, []byte("#!/bin/sh\necho the runner\\'s own\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	code, out := start(t.Context(), t, c).wait()
	exited(t, code, minirunner.ExitDone, out)
	has(t, f.log(), "Z the runner's own\n")
}

// TestLocal: an action of the workspace is read when its step comes, and what it
// uses is resolved then.
func TestLocal(t *testing.T) {
	needNode(t)
	f := newFake(t,
		script("lay out", `mkdir -p actions/own && printf 'runs: {using: composite, steps: [{uses: acme/js@v2}, {run: echo own, shell: bash}]}' > actions/own/action.yml`, "success()"),
		uses("own", "./actions/own", nil),
		uses("missing", "./actions/none", nil),
	)
	f.publish("acme/js@v2", javascript)
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	has(t, f.log(), "##[group]Run ./actions/own\n", "Z own\n", "Z post sees main\n",
		"##[error]Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '", "Did you forget to run actions/checkout before running your local action?")
	if got := f.steps(); got["own"] != "succeeded" || got["Post own"] != "succeeded" || got["missing"] != "failed" {
		t.Errorf("steps %v", got)
	}
}

// TestRelativeFolder: the runner's folder may be named from where it is started.
func TestRelativeFolder(t *testing.T) {
	f := newFake(t, uses("x", "acme/x@v1", nil))
	f.publish("acme/x@v1", map[string]string{"action.yml": "runs: {using: composite, steps: [{run: echo here, shell: bash}]}"})
	f.offer()
	c := f.config()
	t.Chdir(filepath.Dir(c.Root))
	c.Root = filepath.Base(c.Root)
	code, out := start(t.Context(), t, c).wait()
	exited(t, code, minirunner.ExitDone, out)
	has(t, f.log(), "Z here\n")
}

// TestActionsThatCannotBeHad: each ends the job while it is set up, with the words
// of GitHub's runner.
func TestActionsThatCannotBeHad(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(f *fake)
		calls   int
		want    []string
	}{
		"no launch service": {func(f *fake) { f.set("system.github.launch_endpoint", "") }, 0, []string{
			"Failed to resolve action download info. Error: Launch client is not initialized.", "Retrying in ", "##[error]Failed to resolve action download info.",
		}},
		"unresolvable": {func(f *fake) {
			f.answer(resolve, 422, object{"errors": object{"acme/x@v1": object{"message": "no such thing"}}})
		}, 1, []string{"##[error]no such thing"}},
		"unresolvable, without the variable": {func(f *fake) {
			f.set("actions_display_helpful_actions_download_errors", "false")
			for range 3 {
				f.answer(resolve, 422, object{"errors": object{"acme/x@v1": object{"message": "no such thing"}}})
			}
		}, 3, []string{"##[error]Failed to resolve action download info."}},
		"rate limit":    {func(f *fake) { f.answer(resolve, 429, nil) }, 1, []string{"##[error]Failed to resolve action download info."}},
		"not in answer": {func(f *fake) { f.launch = object{"actions": object{}} }, 1, []string{"##[error]Missing download info for acme/x@v1"}},
		"answer without actions": {func(f *fake) { f.launch = object{} }, 3, []string{
			"Error: Value cannot be null. (Parameter 'Actions')", "##[error]Failed to resolve action download info.",
		}},
		"no archive": {func(f *fake) { delete(f.files, "/tarball/acme/x@v1") }, 1, []string{"##[error]An action could not be found at the URI '"}},
		"server fails": {func(f *fake) {
			for range 3 {
				f.answer("GET /tarball/acme/x@v1", 500, nil)
			}
		}, 1, []string{"##[warning]Failed to download action '", "Back off ", "##[error]Failed to download archive '", "after 3 attempts."}},
		"no manifest": {func(f *fake) { f.publish("acme/x@v1", map[string]string{"README": ""}) }, 1, []string{
			"##[error]Can't find 'action.yml', 'action.yaml' or 'Dockerfile' for action 'acme/x@v1'.",
		}},
		"wrong manifest": {func(f *fake) {
			f.publish("acme/x@v1", map[string]string{"action.yml": "runs: {using: composite, steps: [{run: x}]}"})
		}, 1, []string{"##[error]Failed to load _actions/acme/x/v1/action.yml: step 1: Required property is missing: shell"}},
		"unknown kind": {func(f *fake) {
			f.publish("acme/x@v1", map[string]string{"action.yml": "runs: {using: deno, main: x}"})
		}, 1, []string{"'using: deno' is not supported"}},
		"itself": {func(f *fake) {
			f.publish("acme/x@v1", map[string]string{"action.yml": "runs: {using: composite, steps: [{uses: acme/x@v1}]}"})
		}, 10, []string{"##[error]Composite action depth exceeded max depth 9"}},
		"container": {func(f *fake) {
			f.publish("acme/x@v1", map[string]string{"action.yml": "runs: {using: docker, image: Dockerfile}"})
		}, 1, []string{"##[error]docker: command not found. Make sure 'docker' is installed"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, script("before", "echo unreached", "success()"), uses("x", "acme/x@v1", nil))
			f.publish("acme/x@v1", map[string]string{"action.yml": "runs: {using: composite, steps: [{run: echo x, shell: bash}]}"})
			test.prepare(f)
			f.offer()
			c := f.config()
			c.Env["PATH"] = withoutDocker(t)
			code, out := start(t.Context(), t, c).wait()
			exited(t, code, minirunner.ExitDone, out)
			has(t, f.log(), test.want...)
			lacks(t, f.log(), "Z unreached")
			steps := map[string]string{"Set up job": "failed"}
			if name == "container" { // its image is built in a step after that
				steps = map[string]string{
					"Set up job": "succeeded", "Build acme/x@v1": "failed", "before": "skipped", "x": "skipped", "Complete job": "succeeded",
				}
			}
			if diff := cmp.Diff(steps, f.steps()); diff != "" || f.count(resolve) != test.calls {
				t.Errorf("%d calls of the launch service, want %d; steps (-want +got):\n%s", f.count(resolve), test.calls, diff)
			}
		})
	}
}

// withoutDocker is a PATH with what jobs need and no docker.
func withoutDocker(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"bash", "sh", "tar", "gzip", "cat", "touch"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
