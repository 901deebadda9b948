package pool

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Warm says how many runners of a pool listen before there is a job for them.
type Warm struct {
	Runners int      // at each place, outside of all windows
	Windows []Window // the first one that is open decides
	At      []string // where they are registered: owner/name or owner; "" is the enterprise
}

// A Window is a time of the week for which a number of warm runners is set.
type Window struct {
	Days     [7]bool // by [time.Weekday]
	From, To int     // minutes of the day, To excluded; a window that ends before it begins ends the next day
	Zone     string  // of the time zone database; "" is UTC
	Runners  int
}

// Wanted returns how many warm runners there are to be at each place at now.
func (w Warm) Wanted(now time.Time) int {
	for _, window := range w.Windows {
		if window.Open(now) {
			return window.Runners
		}
	}
	return w.Runners
}

// Open reports whether now is in the window. A zone that this system does not know is UTC; [ParseWindow] refuses those.
func (w Window) Open(now time.Time) bool {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		zone = time.UTC
	}
	now = now.In(zone)
	minute := now.Hour()*60 + now.Minute()
	if w.From < w.To {
		return w.Days[now.Weekday()] && w.From <= minute && minute < w.To
	}
	yesterday := (now.Weekday() + 6) % 7
	return w.Days[now.Weekday()] && minute >= w.From || w.Days[yesterday] && minute < w.To
}

var days = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// ParseWindow reads a window such as "Mon-Fri 08:00-18:00", "Sat,Sun 10:00-12:30" or "22:00-06:00", which is every day.
func ParseWindow(text, zone string, runners int) (Window, error) {
	w := Window{Zone: zone, Runners: runners}
	if _, err := time.LoadLocation(zone); err != nil {
		return w, fmt.Errorf("zone %q: want a name of the time zone database, such as Europe/Berlin", zone)
	}
	fields := strings.Fields(text)
	if len(fields) == 1 {
		fields = slices.Insert(fields, 0, "Sun-Sat")
	}
	if len(fields) != 2 || !w.parseDays(fields[0]) || !w.parseHours(fields[1]) {
		return w, fmt.Errorf("%q: want days and hours, such as Mon-Fri 08:00-18:00", text)
	}
	return w, nil
}

func (w *Window) parseDays(text string) bool {
	for _, part := range strings.Split(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, to := dayOf(first), dayOf(last)
		if !isRange {
			to = from
		}
		if from < 0 || to < 0 {
			return false
		}
		for d := from; ; d = (d + 1) % 7 {
			w.Days[d] = true
			if d == to {
				break
			}
		}
	}
	return true
}

func dayOf(text string) int {
	return slices.IndexFunc(days, func(d string) bool { return strings.EqualFold(d, text) })
}

func (w *Window) parseHours(text string) bool {
	from, to, ok := strings.Cut(text, "-")
	w.From, w.To = minuteOf(from), minuteOf(to)
	return ok && w.From >= 0 && w.From < 24*60 && w.To >= 0 && w.From != w.To
}

// minuteOf reads a time of the day, such as 08:00, up to 24:00; -1 if it is none.
func minuteOf(text string) int {
	hour, minute, ok := strings.Cut(text, ":")
	h, err := strconv.Atoi(hour)
	m, err2 := strconv.Atoi(minute)
	if !ok || err != nil || err2 != nil || len(hour) != 2 || len(minute) != 2 || h < 0 || m < 0 || m > 59 || h*60+m > 24*60 {
		return -1
	}
	return h*60 + m
}
