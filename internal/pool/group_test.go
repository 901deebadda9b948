package pool_test

import (
	"encoding/json"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

func TestGroup(t *testing.T) {
	for text, want := range map[string]pool.Group{`7`: "7", `"My Group"`: "My Group", `""`: ""} {
		var g pool.Group
		if err := json.Unmarshal([]byte(text), &g); err != nil || g != want {
			t.Errorf("%s: %q, %v: want %q", text, g, err, want)
		}
	}
	for g, want := range map[pool.Group]bool{"": true, "1": true, "default": true, "2": false, "builds": false} {
		if g.Default() != want {
			t.Errorf("group %q is the default one: %t", g, !want)
		}
	}
	for _, name := range []string{"builds", "Builds", "org/builds", "organization/builds", "ent/builds", "enterprise/builds"} {
		if !pool.Group("builds").Is(name) {
			t.Errorf("builds is not %s", name)
		}
	}
	if pool.Group("3").Is("builds") {
		t.Error("an id is a name")
	}
}
