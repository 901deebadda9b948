package minirunner_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

// fakeDocker notes its arguments, one command a line, and answers as docker does.
const fakeDocker = `#!/bin/sh
printf '%s' "$1" >> "$LOG"; shown=$1
first=$1; shift; for a; do printf ' %s' "$a" >> "$LOG"; done; echo >> "$LOG"
case "$first $*" in
version*) echo "'1.41'" ;;
"ps --all --filter"*) echo "id-of-container Up 1 second" ;;
create*) echo id-of-container ;;
port*) echo "6379/tcp -> 0.0.0.0:49153"; echo "6379/tcp -> [::]:49153" ;;
"inspect --format={{if"*) if [ -e "$LOG.up" ]; then echo healthy; else touch "$LOG.up"; echo starting; fi ;;
inspect*) echo HOME=/root; echo PATH=/image/bin ;;
"pull flaky"*) [ -e "$LOG.pulled" ] || { touch "$LOG.pulled"; echo "no route" >&2; exit 1; } ;;
exec*) echo "inside with $GITHUB_WORKSPACE and $MARK" ;;
"run "*) echo "action says $INPUT_WHO in $GITHUB_WORKSPACE"; echo "::notice::told" ;;
esac
`

// withDocker gives a runner a fake docker, and returns what was asked of it, with ids replaced.
func withDocker(t *testing.T, c *minirunner.Config) (asked func() []string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(fakeDocker), 0o755); err != nil {
		t.Fatal(err)
	}
	c.Env["PATH"], c.Env["LOG"] = dir+":"+withoutDocker(t), log
	return func() []string {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		plain := string(text)
		for _, r := range []struct{ pattern, to string }{
			{regexp.QuoteMeta(filepath.Join(c.Root, "_work")), "WORK"}, {`[^ :]*/externals`, "EXTERNALS"}, {`github_network_[0-9a-f]{32}`, "NETWORK"}, {`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, "UUID"},
			{`[0-9a-f]{32}`, "GUID"}, {`_[0-9a-f]{6}\b`, "_HEX"}, {`\b[0-9a-f]{6}\b`, "LABEL"}, {`(env|output|path|state|step_summary)_UUID`, "FILE"},
		} {
			plain = regexp.MustCompile(r.pattern).ReplaceAllString(plain, r.to)
		}
		return strings.Split(strings.TrimSpace(plain), "\n")
	}
}

func mapOf(pairs ...any) object {
	var list []any
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, object{"key": pairs[i], "value": pairs[i+1]})
	}
	return object{"type": 2, "map": list}
}

// TestJobContainer holds what is asked of docker against what GitHub's runner 2.336.0 asked, in its
// order (../shared/facts/official-runner.md, "Containers in a job").
func TestJobContainer(t *testing.T) {
	step := script("hello", "echo hello", "success()")
	step["environment"] = mapOf("MARK", "it")
	f := newFake(t, step, script("ports", "echo", "success() && job.services.db.ports['6379'] == '49153' && job.container.network != ''"))
	f.job["jobContainer"] = mapOf("image", "debian:12", "options", `--cpus 1 --label "a b"`, "env", mapOf("A", "b c"), "volumes", object{"type": 1, "seq": []any{"/tmp/x:/x:ro", "cache:/c"}})
	f.job["jobServiceContainers"] = mapOf("db", mapOf("image", "flaky:7", "ports", object{"type": 1, "seq": []any{"6379/tcp"}}), "none", mapOf("image", ""))
	f.offer()
	c := f.config()
	asked := withDocker(t, &c)
	code, out := start(t.Context(), t, c).wait()
	exited(t, code, minirunner.ExitDone, out)
	want := []string{
		"version --format '{{.Server.APIVersion}}'",
		"version --format '{{.Client.APIVersion}}'",
		"ps --all --quiet --no-trunc --filter label=LABEL",
		"network prune --force --filter label=LABEL",
		"network create --label LABEL NETWORK",
		"pull debian:12",
		"create --name GUID_debian12_HEX --label LABEL --workdir /__w/web/web --network NETWORK --cpus 1 --label a b -e A=b c -e HOME=/github/home" +
			" -e GITHUB_ACTIONS=true -e CI=true -v /var/run/docker.sock:/var/run/docker.sock -v /tmp/x:/x:ro -v cache:/c -v WORK:/__w -v EXTERNALS:/__e:ro" +
			" -v WORK/_temp:/__w/_temp -v WORK/_actions:/__w/_actions -v WORK/_tool:/__w/_tool -v WORK/_temp/_github_home:/github/home" +
			" -v WORK/_temp/_github_workflow:/github/workflow --entrypoint tail debian:12 -f /dev/null",
		"start id-of-container",
		"ps --all --filter id=id-of-container --filter status=running --no-trunc --format {{.ID}} {{.Status}}",
		"inspect --format {{range .Config.Env}}{{println .}}{{end}} id-of-container",
		"pull flaky:7",
		"pull flaky:7",
		"create --name GUID_flaky7_HEX --label LABEL --network NETWORK --network-alias db -p 6379/tcp -e GITHUB_ACTIONS=true -e CI=true flaky:7",
		"start id-of-container",
		"ps --all --filter id=id-of-container --filter status=running --no-trunc --format {{.ID}} {{.Status}}",
		"port id-of-container",
		"inspect --format={{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}} id-of-container",
		"inspect --format={{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}} id-of-container",
		"exec", "exec",
		"rm --force id-of-container",
		"logs --details id-of-container",
		"rm --force id-of-container",
		"network rm NETWORK",
	}
	got := asked()
	for i, line := range got {
		if strings.HasPrefix(line, "exec ") {
			if !strings.HasPrefix(line, "exec -i --workdir /__w/web/web -e CI -e GITHUB_ACTION") || !strings.HasSuffix(line, " id-of-container sh -e /__w/_temp/UUID.sh") {
				t.Errorf("a step ran as %q", line)
			}
			got[i] = "exec"
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	has(t, f.log(), "Z inside with /__w/web/web and it\n", "shell: sh -e {0}", "##[warning]Docker pull failed with exit code 1, back off", "Z db service is healthy.\n")
	steps := map[string]string{
		"Set up job": "succeeded", "Initialize containers": "succeeded", "hello": "succeeded", "ports": "succeeded", "Stop containers": "succeeded", "Complete job": "succeeded",
	}
	if diff := cmp.Diff(steps, f.steps()); diff != "" {
		t.Errorf("steps (-want +got):\n%s\n%s", diff, f.log())
	}
}

// TestDockerAction builds the image of an action before the steps, pulls that of a step, and runs both
// with the job's folders.
func TestDockerAction(t *testing.T) {
	pulled := uses("image", "", object{"args": `one "two three"`})
	pulled["reference"] = object{"type": "containerRegistry", "image": "alpine:3"}
	f := newFake(t, uses("x", "acme/x@v1", object{"who": "me"}), pulled)
	f.set("DistributedTask.EnhancedAnnotations", "true")
	f.publish("acme/x@v1", map[string]string{
		"action.yml": "inputs: {who: {default: nobody}}\nruns: {using: docker, image: Dockerfile, entrypoint: /run.sh, args: ['${{ inputs.who }}', b c], env: {OWN: '1'}}",
		"Dockerfile": "FROM scratch\n",
	})
	f.offer()
	c := f.config()
	asked := withDocker(t, &c)
	code, out := start(t.Context(), t, c).wait()
	exited(t, code, minirunner.ExitDone, out)
	var got []string
	for _, line := range asked() {
		got = append(got, regexp.MustCompile(`( -e [A-Z_]+)+ `).ReplaceAllString(line, " VARIABLES "))
	}
	folders := "-v /var/run/docker.sock:/var/run/docker.sock -v WORK/_temp/_github_home:/github/home -v WORK/_temp/_github_workflow:/github/workflow" +
		" -v WORK/_temp/_runner_file_commands:/github/file_commands -v WORK/web/web:/github/workspace"
	want := []string{
		"build -t LABEL:GUID -f WORK/_actions/acme/x/v1/Dockerfile WORK/_actions/acme/x/v1",
		"pull alpine:3",
		"run --name NAME --label LABEL --workdir /github/workspace --rm VARIABLES -e GITHUB_ACTIONS=true " + folders + " --entrypoint /run.sh LABEL:GUID me b c",
		"run --name alpine3_HEX --label LABEL --workdir /github/workspace --rm VARIABLES -e GITHUB_ACTIONS=true " + folders + " alpine:3 one two three",
	}
	if len(got) == 4 {
		got[2] = regexp.MustCompile(`--name [^ ]+`).ReplaceAllString(got[2], "--name NAME")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	has(t, f.log(), "Z action says me in /github/workspace\n", "##[notice]told")
	lacks(t, f.log(), "Unexpected input")
	if steps := f.steps(); steps["Build acme/x@v1"] != "succeeded" || steps["Pull alpine:3"] != "succeeded" || steps["x"] != "succeeded" {
		t.Errorf("steps %v", steps)
	}
}
