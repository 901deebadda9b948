package githubsim_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// A begunJob is a job that a handRunner has acquired, as its worker knows it.
type begunJob struct {
	w       *world
	runner  *handRunner
	offer   jobOffer
	message map[string]any
}

// begin has a new runner acquire the job that waits for labels.
func (w *world) begin(labels ...string) *begunJob {
	w.t.Helper()
	r := w.jitRunner("b-"+strings.ToLower(w.t.Name()), labels...).connect()
	o := r.offered()
	a := r.acquire(o)
	if a.code != http.StatusOK {
		w.t.Fatalf("acquirejob: %d %s", a.code, a.text)
	}
	return &begunJob{w, r, o, a.body}
}

// at gives what is at a path of objects and lists in the message.
func (j *begunJob) at(path ...any) any {
	j.w.t.Helper()
	var v any = j.message
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = v.(map[string]any)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

func (j *begunJob) variable(name string) string {
	j.w.t.Helper()
	variable, _ := j.at("variables", name).(map[string]any)
	text, _ := variable["value"].(string)
	return text
}

func (j *begunJob) access() string {
	return j.at("resources", "endpoints", 0, "authorization", "parameters", "AccessToken").(string)
}

// resolve asks the launch service, as the runner does: at its host, whatever the path.
func (j *begunJob) resolve(actions ...map[string]any) answer {
	j.w.t.Helper()
	if !strings.HasPrefix(j.variable("system.github.launch_endpoint"), j.w.url) {
		j.w.t.Errorf("launch endpoint is %q", j.variable("system.github.launch_endpoint"))
	}
	path := "/actions/build/" + j.at("plan", "planId").(string) + "/jobs/" + j.at("jobId").(string) + "/runnerresolve/actions"
	return j.w.call("Bearer "+j.access(), "POST", path, map[string]any{"actions": actions})
}

func action(name, version string) map[string]any {
	return map[string]any{"action": name, "version": version, "path": ""}
}

// withAction adds a repository acme/greet with a composite action: the tag v1, its branch
// main, and a commit after the tag.
func (w *world) withAction() (tagged, newest string) {
	w.t.Helper()
	if err := w.CreateRepository(githubsim.Repository{Name: "acme/greet"}); err != nil {
		w.t.Fatal(err)
	}
	composite := "name: greet\nruns: {using: composite, steps: [{run: echo hello, shell: bash}]}\n"
	push := func(text string) string {
		if _, err := w.Push(githubsim.Push{Repository: "acme/greet", Files: map[string]string{"action.yml": composite, "sub/action.yml": text}}); err != nil {
			w.t.Fatal(err)
		}
		return w.api(http.StatusOK, "GET", "/repos/acme/greet/git/ref/heads/main", nil).body["object"].(map[string]any)["sha"].(string)
	}
	tagged = push("a")
	if err := w.AddTag(githubsim.Tag{Repository: "acme/greet", Name: "v1"}); err != nil {
		w.t.Fatal(err)
	}
	return tagged, push("b")
}

func TestLaunchResolvesActions(t *testing.T) {
	w := newWorld(t)
	tagged, newest := w.withAction()
	w.push(one)
	j := w.begin("linux", "x64")
	a := j.resolve(action("acme/greet", "v1"), action("Acme/Greet", "main"), action("acme/greet", tagged))
	if a.code != http.StatusOK {
		t.Fatalf("resolving: %d %s", a.code, a.text)
	}
	found := a.body["actions"].(map[string]any)
	for key, sha := range map[string]string{"acme/greet@v1": tagged, "Acme/Greet@main": newest, "acme/greet@" + tagged: tagged} {
		info, _ := found[key].(map[string]any)
		if info["resolved_sha"] != sha || info["resolved_name"] != "acme/greet" || fmt.Sprint(info["name"], "@", info["version"]) != key {
			t.Errorf("%s is %v, want commit %s", key, info, sha)
			continue
		}
		token := info["authentication"].(map[string]any)["token"].(string)
		if got := w.unpacked(info["tar_url"].(string), token); !strings.HasPrefix(got["action.yml"], "name: greet") || got["sub/action.yml"] == "" {
			t.Errorf("archive of %s holds %v", key, got)
		}
	}
}

// unpacked downloads an archive as the runner does and gives its files, which must be in one folder.
func (w *world) unpacked(address, token string) map[string]string {
	w.t.Helper()
	req, err := http.NewRequest("GET", address, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth("x-access-token", token)
	res, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %d", address, res.StatusCode)
	}
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	files, tops := map[string]string{}, map[string]bool{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		top, name, _ := strings.Cut(h.Name, "/")
		var text bytes.Buffer
		if _, err := io.Copy(&text, r); err != nil {
			w.t.Fatal(err)
		}
		tops[top] = true
		if h.Typeflag == tar.TypeReg {
			files[name] = text.String()
		}
	}
	if len(tops) != 1 {
		w.t.Errorf("the archive has %v at its top, want one folder", tops)
	}
	return files
}

func TestLaunchNamesWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	tagged, _ := w.withAction()
	if err := w.CreateRepository(githubsim.Repository{Name: "acme/secret", Private: true}); err != nil {
		t.Fatal(err)
	}
	w.push(one)
	j := w.begin("linux", "x64")
	a := j.resolve(action("acme/greet", "v1"), action("acme/greet", "v9"), action("acme/none", "v1"), action("acme/secret", "main"),
		action("acme/greet", tagged[:7]), action("acme/greet", "--all"))
	message := func(m string) any { return map[string]any{"message": m} }
	want := map[string]any{"errors": map[string]any{
		"acme/greet@v9":    message("Unable to resolve action `acme/greet@v9`, unable to find version `v9`"),
		"acme/greet@--all": message("Unable to resolve action `acme/greet@--all`, unable to find version `--all`"),
		"acme/none@v1":     message("Unable to resolve action `acme/none@v1`, repository not found"),
		"acme/secret@main": message("Unable to resolve action `acme/secret@main`, repository not found"),
		"acme/greet@" + tagged[:7]: message("Unable to resolve action `acme/greet@" + tagged[:7] + "`, the provided ref `" + tagged[:7] +
			"` is the shortened version of a commit SHA, which is not supported. Please use the full commit SHA `" + tagged + "` instead."),
	}}
	if diff := cmp.Diff(want, a.body); diff != "" || a.code != http.StatusUnprocessableEntity {
		t.Errorf("answer is %d (-want +got):\n%s", a.code, diff)
	}
}

func TestLaunchChecksWhoAsks(t *testing.T) {
	w := newWorld(t)
	w.withAction()
	w.push(one)
	j := w.begin("linux", "x64")
	body := map[string]any{"actions": []any{action("acme/greet", "v1")}}
	path := "/actions/build/" + j.at("plan", "planId").(string) + "/jobs/" + j.at("jobId").(string) + "/runnerresolve/actions"
	signature := strings.LastIndex(j.access(), ".")
	for name, c := range map[string]struct {
		token, path string
		want        int
	}{
		"GITHUB_TOKEN":      {j.variable("github_token"), path, http.StatusUnauthorized},
		"runner's token":    {j.runner.access, path, http.StatusUnauthorized},
		"another signature": {j.access()[:signature+1] + strings.Repeat("A", len(j.access())-signature-1), path, http.StatusUnauthorized},
		"another job":       {j.access(), strings.Replace(path, "/jobs/", "/jobs/x", 1), http.StatusNotFound},
		"the path kept":     {j.access(), "/_runner/launch" + path, http.StatusNotFound},
	} {
		if got := w.call("Bearer "+c.token, "POST", c.path, body).code; got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestStepsThatUse holds what a step uses against what runners read.
func TestStepsThatUse(t *testing.T) {
	w := newWorld(t)
	w.push("on: push\njobs: {a: {runs-on: linux, steps: [{uses: ./local}, {uses: a/b/c/d@v1}, {uses: 'docker://alpine:3'}, {uses: a/b@main}, {run: a}, {id: x, run: b}, {run: c}, {uses: actions/setup-node@v4}]}}")
	j := w.begin("linux")
	for i, want := range []string{"__self", "__a_b", "__alpine_3", "__a_b_2", "__run", "x", "__run_2", "__actions_setup-node"} {
		if got := j.at("steps", i, "contextName"); got != want {
			t.Errorf("step %d is called %v, want %s", i, got, want)
		}
	}
	for i, want := range []map[string]any{
		{"type": "repository", "repositoryType": "self", "path": "./local"},
		{"type": "repository", "repositoryType": "GitHub", "name": "a/b", "path": "c/d", "ref": "v1"},
		{"type": "containerRegistry", "image": "alpine:3"},
		{"type": "repository", "repositoryType": "GitHub", "name": "a/b", "ref": "main"},
	} {
		if diff := cmp.Diff(any(want), j.at("steps", i, "reference")); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

// TestCheckout fetches as actions/checkout does: no .git, protocol 2, one commit by its
// id that no branch is at any more, with the job's token.
func TestCheckout(t *testing.T) {
	w := newWorld(t)
	if err := w.CreateRepository(githubsim.Repository{Name: "acme/secret", Private: true}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"old", "new"} {
		if _, err := w.Push(githubsim.Push{Repository: "acme/secret", Files: map[string]string{"a.txt": text, ".github/workflows/ci.yml": one}}); err != nil {
			t.Fatal(err)
		}
	}
	a := w.api(http.StatusCreated, "POST", "/repos/acme/secret/actions/runners/generate-jitconfig",
		map[string]any{"name": "r", "runner_group_id": 1, "labels": []string{"linux", "x64"}})
	r := w.decodeJIT(a.body["encoded_jit_config"].(string)).connect()
	j := &begunJob{w: w, runner: r, message: r.acquire(r.offered()).body}
	sha := w.Runs()[0].SHA
	c := &clone{w, t.TempDir()}
	c.must("init", "-q")
	for _, version := range []string{"2", "0"} {
		fetch := []string{"-c", "protocol.version=" + version, "fetch", "-q", "--depth=1",
			strings.Replace(w.url, "://", "://x-access-token:"+j.variable("github_token")+"@", 1) + "/acme/secret", "+" + sha + ":refs/remotes/origin/main"}
		c.must(fetch...)
	}
	c.must("checkout", "-q", "refs/remotes/origin/main")
	if text, err := os.ReadFile(c.dir + "/a.txt"); err != nil || string(text) != "old" {
		t.Errorf("checked out %q, %v; want the commit of the run", text, err)
	}
	if c.git("ls-remote", w.url+"/acme/secret") == nil {
		t.Error("a stranger read a private repository")
	}
	token := "Bearer " + j.variable("github_token")
	for path, want := range map[string]int{
		"/api/v3/repos/acme/secret": http.StatusOK, "/api/v3/repos/acme/secret/actions/runners": http.StatusForbidden,
		"/api/v3/repos/acme/web": http.StatusOK, "/api/v3/repos/acme/none": http.StatusNotFound,
	} {
		if got := w.call(token, "GET", path, nil).code; got != want {
			t.Errorf("GET %s with the job's token: %d, want %d", path, got, want)
		}
	}
	if got := w.unpacked(w.url+"/api/v3/repos/acme/secret/tarball/"+sha, j.variable("github_token")); got["a.txt"] != "old" {
		t.Errorf("the archive holds %v", got)
	}
	if got := w.call("", "GET", "/_codeload/acme/secret/legacy.tar.gz/"+sha, nil).code; got != http.StatusNotFound {
		t.Errorf("a private archive without a token: %d, want 404", got)
	}
}

// TestVariables holds what runners are told against what GitHub tells them.
func TestVariables(t *testing.T) {
	w := newWorld(t)
	w.push("name: CI\non: push\njobs: {build: {runs-on: linux, timeout-minutes: 5, steps: [{run: 'true'}]}}")
	j := w.begin("linux")
	for name, want := range map[string]string{
		"DistributedTask.EnhancedAnnotations": "true", "system.runnerEnvironment": "self-hosted", "system.runnerGroupName": "Default",
		"system.github.token.permissions":         `{"Contents":"read","Metadata":"read","Packages":"read"}`,
		"actions_add_check_run_id_to_job_context": "true", "actions_display_helpful_actions_download_errors": "true",
		"actions_uses_cache_service_v2": "true", "actions_set_orchestration_id_env_for_actions": "true",
		"system.runner.lowdiskspacethreshold": "100", "system.jobTimeout": "5", "system.github.job": "build",
		"system.github.results_endpoint": w.url + "/_runner/results/", "system.github.token": j.variable("github_token"),
	} {
		if got := j.variable(name); got != want || got == "" {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"github_token", "system.github.token"} {
		if j.at("variables", name, "isSecret") != true {
			t.Errorf("%s is no secret", name)
		}
	}
	// those of a called workflow only
	for _, name := range []string{"system.workflowFileFullPath", "system.workflowFileSha", "system.workflowFileRef"} {
		if got := j.variable(name); got != "" {
			t.Errorf("%s is %q in a workflow that nobody called", name, got)
		}
	}
	masks := fmt.Sprint(j.at("mask"))
	for name, secret := range map[string]string{"GITHUB_TOKEN": j.variable("github_token"), "access token": j.access()} {
		if !strings.Contains(masks, regexp.QuoteMeta(secret)) {
			t.Errorf("the %s is not masked", name)
		}
	}
	want := map[string]any{"check_run_id": float64(w.job("build").ID), "workflow_sha": w.Runs()[0].SHA, "workflow_repository": "acme/web",
		"workflow_file_path": ".github/workflows/ci.yml", "workflow_ref": "acme/web/.github/workflows/ci.yml@refs/heads/main"}
	got := map[string]any{}
	for _, pair := range j.at("contextData", "job", "d").([]any) {
		value := pair.(map[string]any)["v"]
		if n, is := value.(map[string]any); is {
			value = n["n"]
		}
		got[pair.(map[string]any)["k"].(string)] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("context job (-want +got):\n%s", diff)
	}
}

// TestPushedActions resolves actions that were pushed by git, with an annotated tag, as
// GitHub's own have; their files keep their modes.
func TestPushedActions(t *testing.T) {
	w := newWorld(t)
	w.push(one)
	c, err := w.clone(pat)
	if err != nil {
		t.Fatal(err)
	}
	c.write("action.yml", "name: greet\nruns: {using: node24, main: a.js}\n")
	c.must("add", ".")
	c.must("commit", "-qm", "an action")
	c.must("tag", "-a", "v2", "-m", "two")
	c.must("push", "-q", "origin", "main", "v2")
	c.must("push", "-q", "origin", "main:other") // the tag has not moved
	sha := w.api(http.StatusOK, "GET", "/repos/acme/web/git/ref/heads/main", nil).body["object"].(map[string]any)["sha"]
	var refs []string
	for _, r := range w.Runs() {
		refs = append(refs, r.Ref)
	}
	if diff := cmp.Diff([]string{"refs/heads/main", "refs/heads/main", "refs/tags/v2", "refs/heads/other"}, refs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	a := w.begin("linux", "x64").resolve(action("acme/web", "v2"))
	info, _ := a.body["actions"].(map[string]any)["acme/web@v2"].(map[string]any)
	if info["resolved_sha"] != sha {
		t.Errorf("v2 is %v, want the commit %v of the tag", info["resolved_sha"], sha)
	}
}
