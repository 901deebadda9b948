package image

import (
	"fmt"
	"time"
)

// grace is how long GitHub accepts a runner after the next release was published.
// https://docs.github.com/en/actions/reference/runners/self-hosted-runners#runner-software-updates-on-self-hosted-runners
const grace = 30 * 24 * time.Hour

// End returns when GitHub refuses version v: the date that it gave, or else 30 days after the
// release that followed v. It is zero if neither is known: nothing newer has been published.
func (c *Catalog) End(v Version) time.Time {
	if end, ok := c.Ends[v]; ok {
		return end
	}
	for _, r := range c.Releases {
		if r.Version.Compare(v) > 0 && !r.Published.IsZero() {
			return r.Published.Add(grace)
		}
	}
	return time.Time{}
}

// Runway returns how long GitHub will keep accepting the current image's version, and when that
// ends: zero if no end is known, or no image is current. The runway is negative after the end, and
// at most 0 if GitHub refuses the version already.
func (c *Catalog) Runway(now time.Time) (left time.Duration, end time.Time) {
	current, some := c.Current()
	if !some {
		return 0, time.Time{}
	}
	end = c.End(current.Version)
	if c.Refused() && (end.IsZero() || end.After(c.Refusal.At)) {
		end = c.Refusal.At
	}
	if end.IsZero() {
		return 0, end
	}
	return end.Sub(now), end
}

// Days formats a runway for people.
func Days(left time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case left <= 0:
		return "from now on"
	case left < day:
		return "within a day"
	case left < 2*day:
		return "in 1 day"
	}
	return fmt.Sprintf("in %d days", left/day)
}
