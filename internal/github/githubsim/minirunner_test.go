package githubsim_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

// TestMiniRunner has the other program of this project that speaks the protocol
// run a job: two sides that were not written by looking at each other.
func TestMiniRunner(t *testing.T) {
	w := newWorld(t, func(c *githubsim.Config) { c.Now = time.Now })
	w.push(`
on: push
env: {GREETING: hello}
jobs:
  first:
    runs-on: linux
    strategy: {matrix: {who: [world]}}
    outputs: {said: "${{ steps.say.outputs.text }}"}
    steps:
      - {id: say, run: 'echo "text=$GREETING ${{ matrix.who }}" >> "$GITHUB_OUTPUT"; echo "run $GITHUB_RUN_ATTEMPT of $GITHUB_REPOSITORY"'}
  second:
    needs: first
    runs-on: linux
    steps:
      - run: echo "first said ${{ needs.first.outputs.said }}"
      - {run: exit 3}
      - {run: echo never}
      - {if: failure(), run: echo cleaning}
`)
	for _, name := range []string{"r1", "r2"} {
		a := w.api(201, "POST", "/repos/acme/web/actions/runners/generate-jitconfig", map[string]any{"name": name, "runner_group_id": 1, "labels": []string{"linux"}})
		identity, err := minirunner.DecodeJIT(a.body["encoded_jit_config"].(string))
		if err != nil {
			t.Fatal(err)
		}
		code := minirunner.Run(within(t, 30*time.Second), minirunner.Config{
			Identity: identity, Root: t.TempDir(), Out: io.Discard, HTTP: client, Now: time.Now,
			Env: map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin"},
		})
		if code != 0 {
			t.Errorf("%s ended with %d", name, code)
		}
	}
	w.expect("first (world) success", "second failure")
	for name, want := range map[string]string{"first (world)": "run 1 of acme/web", "second": "first said hello world"} {
		if log := w.Log(w.job(name).ID); !strings.Contains(log, want) {
			t.Errorf("log of %s lacks %q:\n%s", name, want, log)
		}
	}
	log := w.Log(w.job("second").ID)
	if strings.Contains(log, "\nnever") || !strings.Contains(log, "cleaning") {
		t.Errorf("log of second:\n%s", log)
	}
	if got := w.Runners(); len(got) != 0 {
		t.Errorf("runners left: %v", got)
	}
}
