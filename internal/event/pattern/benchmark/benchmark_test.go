// Package benchmark measures pattern beside quamina, which compiles the same
// kind of rules into an automaton. It is a module of its own, so that quamina
// is no dependency of Mayfly: go test -bench . in this folder.
package benchmark

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"quamina.net/go/quamina"

	"github.com/mayfly-ci/mayfly/internal/event/pattern"
)

// event is a workflow_job event of GitHub's in its envelope, of about 12 KB.
func event(b *testing.B) []byte {
	b.Helper()
	detail, err := os.ReadFile("../../../../testdata/webhooks/github/workflow_job-queued-7.json")
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Appendf(nil, `{"version":"0","id":"6f87d04b-9f0d-4b0d-8a3c-3a1d5f1e2c3b","detail-type":"workflow_job",`+
		`"source":"github.com","account":"000000000000","time":"2026-11-20T10:00:00.000Z","region":"local",`+
		`"resources":["acme/web"],"detail":%s}`, strings.TrimSpace(string(detail)))
}

// rule returns the i-th of many rules, in the language that both have. Rule 0
// matches the event, the others differ from it in a label.
func rule(i int) string {
	label := "self-hosted"
	if i > 0 {
		label = fmt.Sprintf("pool-%d", i)
	}
	return fmt.Sprintf(`{"source":["github.com"],"detail-type":["workflow_job"],"detail":{"action":["queued"],`+
		`"workflow_job":{"labels":[%q],"head_branch":[{"anything-but":["release","staging"]}]},`+
		`"repository":{"full_name":[{"prefix":"lineville/"}]}}}`, label)
}

func BenchmarkMatch(b *testing.B) {
	event := event(b)
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("engine=pattern/rules=%d", n), func(b *testing.B) { benchmarkPattern(b, event, n) })
		b.Run(fmt.Sprintf("engine=quamina/rules=%d", n), func(b *testing.B) { benchmarkQuamina(b, event, n) })
	}
}

func benchmarkPattern(b *testing.B, event []byte, n int) {
	rules := make(map[string]*pattern.Pattern, n)
	for i := range n {
		p, err := pattern.Parse([]byte(rule(i)))
		if err != nil {
			b.Fatal(err)
		}
		rules[fmt.Sprint(i)] = p
	}
	set := pattern.NewSet(rules)
	for b.Loop() {
		if names := set.Match(event); len(names) != 1 {
			b.Fatalf("matched %v, want one", names)
		}
	}
}

func benchmarkQuamina(b *testing.B, event []byte, n int) {
	q, err := quamina.New()
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if err := q.AddPattern(i, rule(i)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if names, err := q.MatchesForEvent(event); err != nil || len(names) != 1 {
			b.Fatalf("matched %v, %v, want one", names, err)
		}
	}
}
