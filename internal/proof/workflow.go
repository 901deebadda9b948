package proof

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// workflowPath is where the test workflow is on its branch.
const workflowPath = ".github/workflows/mayfly-test.yml"

// identify is what every job does: it says where it runs, and looks whether another job has
// been there before it. The words are looked for by [identityIn].
const identify = `set -eu
echo "mayfly-test host=$(cat /proc/sys/kernel/hostname) ns=$(readlink /proc/self/ns/mnt)"
for mark in /tmp/mayfly-test "$PWD/mayfly-test"; do
  if [ -e "$mark" ]; then echo "another job has been here: $mark is there"; exit 1; fi
  : > "$mark"
done`

// The jobs of the chain, after the matrix.
const (
	secondJob = "after all pools"
	thirdJob  = "after that"
)

// matrixJob is the name of the matrix' job for a pool.
func matrixJob(pool string) string { return "pool " + pool }

// expected returns the traces of the jobs that there are to be: one for each pool, and the
// chain on the first.
func expected(pools []pool.Pool) (all []*trace) {
	for _, one := range pools {
		all = append(all, &trace{Name: matrixJob(one.Name), Pool: one.Name})
	}
	for _, name := range []string{secondJob, thirdJob} {
		all = append(all, &trace{Name: name, Pool: pools[0].Name})
	}
	return all
}

// workflow is the test workflow: a job on each pool, by its labels, and a chain of two more
// on the first. JSON is YAML, so that no label needs quoting rules.
func workflow(branch string, pools []pool.Pool) string {
	type leg struct {
		Pool   string   `json:"pool"`
		Labels []string `json:"labels"`
	}
	var legs []leg
	for _, one := range pools {
		legs = append(legs, leg{one.Name, one.Labels})
	}
	step := "      - run: |\n          " + strings.ReplaceAll(identify, "\n", "\n          ") + "\n"
	chain := func(key, name, needs string) string {
		return fmt.Sprintf("  %s:\n    name: %s\n    needs: %s\n    runs-on: %s\n    timeout-minutes: 10\n    steps:\n%s",
			key, name, needs, inJSON(pools[0].Labels), step)
	}
	return fmt.Sprintf(`# Made by mayfly test, which removes this branch in the end.
name: mayfly test
on: {push: {branches: [%s]}}
permissions: {}
jobs:
  pools:
    name: %s
    strategy:
      fail-fast: false
      matrix: {include: %s}
    runs-on: ${{ matrix.labels }}
    timeout-minutes: 10
    steps:
%s`, inJSON(branch), matrixJob("${{ matrix.pool }}"), inJSON(legs), step) + chain("second", secondJob, "pools") + chain("third", thirdJob, "second")
}

func inJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and lists of them
	}
	return string(text)
}

// identity is what a job said of where it ran. What a shell would have put there does not
// begin with a dollar: the log has the command, too.
var identity = regexp.MustCompile(`mayfly-test host=([^\s$"]+) ns=([^\s$"]+)`)

// identityIn finds it in a log; "" when it is not there.
func identityIn(log string) string {
	if m := identity.FindStringSubmatch(log); m != nil {
		return m[1] + " " + m[2]
	}
	return ""
}
