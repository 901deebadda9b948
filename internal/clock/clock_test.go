package clock_test

import (
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/clock"
)

// TestStep: time that passes is no step, however much; what the wall clock alone gains or loses is.
func TestStep(t *testing.T) {
	const start = 1_800_000_000
	at := func(boot string, wall, steady time.Duration) clock.Mark {
		c := clock.Clock{
			Boot: boot, Steady: func() time.Duration { return steady },
			Now: func() time.Time { return time.Unix(start, 0).Add(wall) },
		}
		_, mark := c.Read()
		return mark
	}
	for name, test := range map[string]struct {
		before, after clock.Mark
		want          time.Duration
	}{
		"time passes":                     {at("a", 0, 0), at("a", 9*time.Hour, 9*time.Hour), 0},
		"NTP slews":                       {at("a", 0, 0), at("a", time.Hour+time.Second, time.Hour), 0},
		"set forward":                     {at("a", 0, 0), at("a", 3*time.Hour+time.Second, time.Second), 3 * time.Hour},
		"set back":                        {at("a", 0, 0), at("a", -3*time.Hour, time.Second), -3*time.Hour - time.Second},
		"suspended for an hour":           {at("a", 0, 0), at("a", time.Hour+time.Minute, time.Minute), time.Hour},
		"another boot":                    {at("a", 0, time.Hour), at("b", time.Hour, 0), 0},
		"nothing was kept":                {clock.Mark{}, at("a", 0, time.Hour), 0},
		"nothing was kept, without an id": {clock.Mark{}, at("", 0, time.Hour), 0},
	} {
		if got := test.before.Step(test.after); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestSystem: on a machine that nobody touches there is no step.
func TestSystem(t *testing.T) {
	c := clock.System()
	_, before := c.Read()
	_, after := clock.System().Read()
	if by := before.Step(after); by != 0 || c.Boot == "" || c.Steady() <= 0 {
		t.Errorf("step %v, boot %q, awake %v: want no step, an id, and some time", by, c.Boot, c.Steady())
	}
}
