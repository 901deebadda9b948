package pattern

import (
	"encoding/json"
	"os"
	"testing"
)

// TestEngine compares with what AWS's engine said.
func TestEngine(t *testing.T) {
	var data struct {
		Events map[string]json.RawMessage
		Cases  []struct {
			Pattern json.RawMessage
			Event   string
			Expect  string
		}
	}
	src, err := os.ReadFile("testdata/patterns.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(src, &data); err != nil {
		t.Fatal(err)
	}
	if len(data.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range data.Cases {
		got := "invalid"
		p, err := Parse(c.Pattern)
		if err == nil && p.Matches(data.Events[c.Event]) {
			got = "true"
		} else if err == nil {
			got = "false"
		}
		if got != c.Expect {
			t.Errorf("%s on %s: got %s (%v), want %s", c.Pattern, c.Event, got, err, c.Expect)
		}
	}
}
