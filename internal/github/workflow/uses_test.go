package workflow_test

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

func TestUses(t *testing.T) {
	for uses, good := range map[string]bool{
		"actions/checkout@v4": true, "actions/cache/restore@main": true, "a/b@feature/x": true, "./": true, "./.github/actions/x": true,
		"docker://alpine:3.20": true, "actions/checkout": false, "checkout@v4": false, "a/b@": false, "@v1": false, "../up": false, "docker://": false,
	} {
		w, faults := workflow.Parse(file, []byte("on: push\njobs: {a: {runs-on: x, steps: [{uses: '"+uses+"'}]}}"))
		if (w != nil) != good {
			t.Errorf("uses %q: taken is %v, want %v: %v", uses, w != nil, good, faults)
		}
	}
}
