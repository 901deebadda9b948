package pattern

import (
	"encoding/json"
	"fmt"
	"github.com/mayfly-ci/mayfly/internal/event/scan"
	"os"
	"slices"
	"strings"
	"testing"
)

// workflowJob returns a workflow_job event of GitHub's in its envelope.
func workflowJob(t testing.TB) []byte {
	t.Helper()
	detail, err := os.ReadFile("../../../testdata/webhooks/github/workflow_job-queued-7.json")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"version":"0","id":"6f87d04b-9f0d-4b0d-8a3c-3a1d5f1e2c3b","detail-type":"workflow_job",`+
		`"source":"github.com","account":"000000000000","time":"2026-11-20T10:00:00.000Z","region":"local",`+
		`"resources":["acme/web"],"detail":%s}`, strings.TrimSpace(string(detail)))
}

// rules returns n patterns as people write them: a pool each, on jobs that are
// queued, with labels; none of them but the first matches workflowJob.
func rules(t testing.TB, n int) map[string]*Pattern {
	t.Helper()
	all := make(map[string]*Pattern, n)
	for i := range n {
		label := "self-hosted"
		if i > 0 {
			label = fmt.Sprintf("pool-%d", i)
		}
		p, err := Parse(fmt.Appendf(nil, `{"source":["github.com"],"detail-type":["workflow_job"],"detail":{"action":["queued"],`+
			`"workflow_job":{"labels":[%q],"head_branch":[{"anything-but":{"prefix":"renovate/"}}]},`+
			`"repository":{"full_name":[{"wildcard":"*/*-%d"},{"prefix":"lineville/"}]}}}`, label, i))
		if err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprintf("rule-%04d", i)] = p
	}
	return all
}

func BenchmarkSet(b *testing.B) {
	event := workflowJob(b)
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			set := NewSet(rules(b, n))
			if got := set.Match(event); len(got) != 1 {
				b.Fatalf("matched %v, want one", got)
			}
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				set.Match(event)
			}
		})
	}
}

// BenchmarkScan is the floor under BenchmarkSet: the same check of the JSON,
// with nothing to look for.
func BenchmarkScan(b *testing.B) {
	event := workflowJob(b)
	b.SetBytes(int64(len(event)))
	for b.Loop() {
		if s := (scan.Scanner{Data: event}); !s.Skip(0) {
			b.Fatal("not JSON")
		}
	}
}

// BenchmarkParseAndMatch is the other way to do it: encoding/json reads the
// event into a tree, and one rule is matched against that.
func BenchmarkParseAndMatch(b *testing.B) {
	event := workflowJob(b)
	p := rules(b, 1)["rule-0000"]
	b.SetBytes(int64(len(event)))
	for b.Loop() {
		var tree map[string]any
		if err := json.Unmarshal(event, &tree); err != nil {
			b.Fatal(err)
		}
		if !inTree(p.branches[0], tree) {
			b.Fatal("no match")
		}
	}
}

// inTree matches a branch without arrays of objects against a tree.
func inTree(b branch, tree map[string]any) bool {
	return !slices.ContainsFunc(b, func(c *clause) bool {
		at := any(tree)
		for name := range strings.SplitSeq(c.path, ".") {
			object, _ := at.(map[string]any)
			at = object[name]
		}
		list, ok := at.([]any)
		if !ok {
			list = []any{at}
		}
		return !slices.ContainsFunc(list, func(x any) bool {
			text, ok := x.(string)
			return ok && accepts(c, value{kind: isText, text: []byte(text)})
		})
	})
}
