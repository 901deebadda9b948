package minirunner_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

// TestCommands: what a step can say to its runner by printing it.
func TestCommands(t *testing.T) {
	for enhanced, notice := range map[string]string{"true": "##[notice]look", "": "Z ::notice title=t::look\n"} {
		f := newFake(t, script("speak", `
			echo "::notice title=t::look"
			echo "::debug::unseen"
			echo "::set-output name=old::way"
			echo "::set-env name=X::y"
			echo "::echo::on"
			echo "::unknown::thing"
			echo NODE_OPTIONS=x >> $GITHUB_ENV`, "success()"),
			script("after", "echo unreached", "success()"),
		)
		f.set("DistributedTask.EnhancedAnnotations", enhanced)
		f.job["jobOutputs"] = object{"type": 2, "map": []any{
			object{"key": "old", "value": object{"type": 3, "expr": "steps.speak.outputs.old"}}, object{"key": "empty", "value": ""},
		}}
		code, out := f.run(t.Context())
		exited(t, code, minirunner.ExitDone, out)
		has(t, f.log(), notice, "##[warning]The `set-output` command is deprecated", "##[error]The `set-env` command is disabled.", "Z ::unknown::thing\n",
			"##[error]Unable to process file command 'env' successfully. Can't store NODE_OPTIONS output parameter using '$GITHUB_ENV' command.", "Set output 'old'\n")
		lacks(t, f.log(), "Z unseen", "Z ::debug", "Z unreached")
		if diff := cmp.Diff(object{"old": object{"value": "way"}}, f.last("POST /run/completejob")["outputs"]); diff != "" {
			t.Errorf("outputs (-want +got):\n%s", diff)
		}
	}
}

// TestShells: what is there to run a script with, and what is not.
func TestShells(t *testing.T) {
	with := func(name, shell, text string) object {
		s := script(name, text, "always()")
		list := s["inputs"].(object)["map"].([]any)
		s["inputs"].(object)["map"] = append(list, object{"key": "shell", "value": shell})
		return s
	}
	f := newFake(t,
		with("bash", "bash", `false | true; echo "bash $BASH_VERSION" | cut -c -4`),
		with("own", "awk -f {0}", `BEGIN { print "of a shell" }`),
		with("quoted", `bash -c "echo with a blank; cat {0}" x`, `quoted`),
		with("missing", "fish {0}", ""),
		with("no file", "bash -e", ""),
	)
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	want := map[string]string{
		"Set up job": "succeeded", "bash": "failed", "own": "succeeded", "quoted": "succeeded", "missing": "failed", "no file": "failed",
		"Complete job": "succeeded",
	}
	if diff := cmp.Diff(want, f.steps()); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	has(t, f.log(), "/bash --noprofile --norc -e -o pipefail {0}", "Z of a shell\n", "Z with a blank\n", "Z quoted\n",
		"##[error]fish: command not found. Make sure 'fish' is installed and its location included in the 'PATH' environment variable.",
		"##[error]Invalid shell option.")
}

// TestContainers: without an engine, a job that needs one ends as GitHub's runner
// ends it: what must run then cannot run in a container that is not there.
func TestContainers(t *testing.T) {
	dir := t.TempDir()
	docker := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "docker"), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path + ":" + withoutDocker(t)
	}
	for want, path := range map[string]string{
		"docker: command not found. Make sure 'docker' is installed":                                                                     withoutDocker(t),
		"Exit code 1 returned from process: file name '" + dir + "/down/docker', arguments 'version --format '{{.Server.APIVersion}}''.": docker("down", "exit 1"),
	} {
		for field, value := range map[string]object{
			"jobContainer":         {"type": 2, "map": []any{object{"key": "image", "value": "debian:12"}}},
			"jobServiceContainers": {"type": 2, "map": []any{object{"key": "db", "value": "redis:7"}}},
		} {
			f := newFake(t, script("hello", "echo unreached", "success()"), script("always", "echo always", "always()"))
			f.job[field] = value
			f.offer()
			c := f.config()
			c.Env["PATH"] = path
			code, out := start(t.Context(), t, c).wait()
			exited(t, code, minirunner.ExitDone, out)
			after := "Z always\n"
			if field == "jobContainer" {
				after = "##[error]Value cannot be null. (Parameter 'ContainerId')"
			}
			has(t, f.log(), "##[error]"+want, after)
			if got := f.steps(); got["Initialize containers"] != "failed" || got["hello"] != "skipped" {
				t.Errorf("steps %v", got)
			}
		}
	}
}

// TestDefaultsAndEnvironment: defaults.run, env: of workflow, job and step, and
// hashFiles.
func TestDefaultsAndEnvironment(t *testing.T) {
	step := script("in sub", `echo "$A $B $C in $(basename $PWD)"`, "success()")
	step["environment"] = object{"type": 2, "map": []any{
		object{"key": "C", "value": object{"type": 3, "expr": "format('{0}c', env.B)"}},
		object{"key": "HASH", "value": object{"type": 3, "expr": "hashFiles('sub/*', '!sub/not')"}},
	}}
	conditional := script("hash", "echo hashed", "env.HASH == '' && hashFiles('sub/**') != hashFiles('none')")
	f := newFake(t, script("lay out", "mkdir -p $GITHUB_WORKSPACE/sub; echo x > $GITHUB_WORKSPACE/sub/file; cp $GITHUB_WORKSPACE/sub/file $GITHUB_WORKSPACE/sub/not", "success()"), step, conditional)
	f.job["environmentVariables"] = []any{
		object{"type": 2, "map": []any{object{"key": "A", "value": "workflow"}, object{"key": "B", "value": "workflow"}}},
		object{"type": 2, "map": []any{object{"key": "B", "value": "job"}}},
	}
	f.job["defaults"] = []any{object{"type": 2, "map": []any{object{"key": "run", "value": object{"type": 2, "map": []any{
		object{"key": "shell", "value": "sh"}, object{"key": "working-directory", "value": "sub"},
	}}}}}}
	f.job["steps"].([]any)[0].(object)["inputs"].(object)["map"] = append(
		f.job["steps"].([]any)[0].(object)["inputs"].(object)["map"].([]any), object{"key": "workingDirectory", "value": "/"})
	code, out := f.run(t.Context())
	exited(t, code, minirunner.ExitDone, out)
	// printf "x\\n" | sha256sum | xxd -r -p | sha256sum
	has(t, f.log(), "Z workflow job jobc in sub\n", "/sh -e {0}\n", "  HASH: af783de711a03d4e784d3cd52d07738e879f8e3004e6bab584d4f5986f26ef1f", "Z hashed\n")
}

// TestHooks: who runs the runner has scripts run before and after the steps.
func TestHooks(t *testing.T) {
	dir := t.TempDir()
	hook := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f := newFake(t, script("step", "echo $FROM_HOOK", "success()"))
	f.offer()
	c := f.config()
	c.Env["ACTIONS_RUNNER_HOOK_JOB_STARTED"] = hook("started.sh", "echo FROM_HOOK=set up for $GITHUB_REPOSITORY >> $GITHUB_ENV")
	c.Env["ACTIONS_RUNNER_HOOK_JOB_COMPLETED"] = hook("completed.sh", "echo tidied up; exit 7")
	code, out := start(t.Context(), t, c).wait()
	exited(t, code, minirunner.ExitDone, out)
	has(t, f.log(), "A job started hook has been configured by the self-hosted runner administrator\n", "##[group]Run '"+dir+"/started.sh'\n",
		"Z set up for acme/web\n", "Z tidied up\n", "##[error]Process completed with exit code 7.")
	want := map[string]string{
		"Set up job": "succeeded", "Set up runner": "succeeded", "step": "succeeded", "Complete runner": "failed", "Complete job": "succeeded",
	}
	if diff := cmp.Diff(want, f.steps()); diff != "" || f.last("POST /run/completejob")["conclusion"] != "failed" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}

	f = newFake(t, script("step", "echo unreached", "success()"))
	f.offer()
	c = f.config()
	c.Env["ACTIONS_RUNNER_HOOK_JOB_STARTED"] = filepath.Join(dir, "none.sh")
	code, out = start(t.Context(), t, c).wait()
	exited(t, code, minirunner.ExitDone, out)
	has(t, f.log(), "##[error]File doesn't exist")
	if got := f.steps(); got["Set up runner"] != "failed" || got["step"] != "skipped" {
		t.Errorf("steps %v", got)
	}
}
