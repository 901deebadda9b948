package pool_test

import (
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		text, zone, now string
		want            bool
	}{
		{"Mon-Fri 08:00-18:00", "", "2026-11-30T08:00:00Z", true}, // a Monday
		{"Mon-Fri 08:00-18:00", "", "2026-11-30T18:00:00Z", false},
		{"Mon-Fri 08:00-18:00", "", "2026-11-29T12:00:00Z", false},
		{"Mon-Fri 08:00-18:00", "Europe/Berlin", "2026-11-30T07:00:00Z", true},
		{"Mon-Fri 08:00-18:00", "Europe/Berlin", "2026-07-31T06:00:00Z", true}, // summer time
		{"Fri-Mon 00:00-24:00", "", "2026-11-29T23:59:59Z", true},
		{"Fri-Mon 00:00-24:00", "", "2026-12-01T00:00:00Z", false},
		{"sat,SUN 10:00-12:30", "", "2026-11-29T12:29:00Z", true},
		{"22:00-06:00", "", "2026-11-30T05:59:00Z", true},
		{"22:00-06:00", "", "2026-11-30T21:59:00Z", false},
		{"Sun 22:00-06:00", "", "2026-11-30T05:00:00Z", true}, // Monday morning is Sunday's night
		{"Sun 22:00-06:00", "", "2026-11-29T05:00:00Z", false},
	} {
		w, err := pool.ParseWindow(c.text, c.zone, 1)
		now, _ := time.Parse(time.RFC3339, c.now)
		if err != nil || w.Open(now) != c.want {
			t.Errorf("%s %s at %s: %v, %v, want %v", c.text, c.zone, c.now, w.Open(now), err, c.want)
		}
	}
}

func TestWindowsThatAreNone(t *testing.T) {
	for _, text := range []string{"", "Mon", "Mon-Fri", "8:00-18:00", "Mon 08:00", "Mon 08:00-08:00", "Mon 25:00-26:00", "Mon 08:60-09:00", "Mo 08:00-09:00", "Mon 08:00-18:00 x", "Mon- 08:00-09:00", "Mon 24:00-08:00"} {
		if _, err := pool.ParseWindow(text, "", 1); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	if _, err := pool.ParseWindow("08:00-09:00", "Mars/Olympus", 1); err == nil {
		t.Error("a zone of another planet is taken")
	}
}

func TestWanted(t *testing.T) {
	day, _ := pool.ParseWindow("Mon-Fri 08:00-18:00", "", 5)
	noon, _ := pool.ParseWindow("12:00-13:00", "", 2)
	w := pool.Warm{Runners: 1, Windows: []pool.Window{noon, day}}
	for at, want := range map[string]int{"2026-11-30T12:30:00Z": 2, "2026-11-30T11:00:00Z": 5, "2026-11-29T11:00:00Z": 1} {
		now, _ := time.Parse(time.RFC3339, at)
		if got := w.Wanted(now); got != want {
			t.Errorf("%s: %d, want %d", at, got, want)
		}
	}
}

func FuzzWindow(f *testing.F) {
	f.Add("Mon-Fri 08:00-18:00")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := pool.ParseWindow(text, "", 1)
		if err == nil && w.From == w.To {
			t.Errorf("%q: a window of no length", text)
		}
	})
}
