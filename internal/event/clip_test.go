package event_test

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event"
)

func TestClip(t *testing.T) {
	const most = 20
	for text, want := range map[string]string{
		"": "", "twenty characters 20": "twenty characters 20",
		"twenty-one characters": "twenty… (21 bytes)", "twentü-one charactrs": "twent… (21 bytes)",
	} {
		got := event.Clip(text, most)
		if got != want || event.Clip(got, most) != got {
			t.Errorf("Clip(%q) = %q, again %q; want %q", text, got, event.Clip(got, most), want)
		}
	}
}
