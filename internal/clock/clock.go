// Package clock tells by how much the wall clock was set, or stood still for the machine
// while it was suspended, so that deadlines can be moved by as much.
//
// Deadlines are kept as times of the wall clock, because they outlive a process. When that clock is set
// forward by hours, all of them pass at once; when it is set back, none of them passes for hours. Linux has a clock that
// nobody sets and that stops during a suspend (CLOCK_MONOTONIC). What the two have gone apart by is the step.
// https://man7.org/linux/man-pages/man2/clock_gettime.2.html
package clock

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Clock is the two clocks of a machine. The zero value is not usable: see [System].
type Clock struct {
	Now    func() time.Time     // the wall clock
	Steady func() time.Duration // time awake since Boot: never set, and the same for every process
	Boot   string               // names the boot that Steady counts from
}

// System returns the clocks of this machine.
func System() Clock {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it, two boots may be taken for one
	return Clock{Now: time.Now, Steady: steady, Boot: strings.TrimSpace(string(id))}
}

// Of returns a clock that now tells and nobody sets, such as a test's.
func Of(now func() time.Time) Clock {
	return Clock{Now: now, Steady: func() time.Duration { return time.Duration(now().UnixNano()) }}
}

func steady() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // no Linux lacks it
	}
	return time.Duration(t.Nano())
}

// A Mark is how far the wall clock was ahead of the steady one at some moment. The zero value is none.
type Mark struct {
	Boot  string
	Ahead int64 // milliseconds
}

// Tolerance is what the clocks may go apart by between two looks without a step: they are not
// read at one instant, and NTP slews the wall clock by half a millisecond in each second.
const Tolerance = 2 * time.Second

// Read returns the wall clock and its mark.
func (c Clock) Read() (time.Time, Mark) {
	now := c.Now()
	return now, Mark{c.Boot, now.UnixMilli() - c.Steady().Milliseconds()}
}

// Step returns by how much the wall clock was stepped from m to now: forward, or back when it
// is negative. It is 0 where nobody can tell, as after a boot.
func (m Mark) Step(now Mark) time.Duration {
	by := now.apart(m)
	if m.Boot != now.Boot || m == (Mark{}) || by.Abs() < Tolerance {
		return 0
	}
	return by
}

// Worth reports whether now is worth being kept in place of m: what a process finds that begins later must be
// within Tolerance of it.
func (m Mark) Worth(now Mark) bool { return m.Boot != now.Boot || now.apart(m).Abs() > Tolerance/4 }

func (m Mark) apart(from Mark) time.Duration {
	return time.Duration(m.Ahead-from.Ahead) * time.Millisecond
}
