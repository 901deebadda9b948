package fleet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSpecCheck(t *testing.T) {
	good := Spec{Runner: "a-1", Command: []string{"true"}, ClaimDir: "/x"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "A", "a/b", "..", ".", "-a", "a b", "a_b", "ä", strings.Repeat("a", 65), "a\n"} {
		bad := good
		bad.Runner = name
		if bad.Check() == nil {
			t.Errorf("runner name %q was let through", name)
		}
	}
	want := []string{"/opt/mayfly/mayfly-agent", "--socket", "/run/mayfly/claim.sock", "--", "true"}
	if diff := cmp.Diff(want, good.Args()); diff != "" {
		t.Error(diff)
	}
}
