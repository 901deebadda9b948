package web

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// functions are what templates can call.
func functions() template.FuncMap {
	return template.FuncMap{
		"asset": assetURL, "duration": lasting, "seconds": seconds, "since": since, "stamp": stamp, "iso": iso, "tone": toneOf, "jobtone": jobTone, "jobword": jobWord,
		"runnertone": runnerTone, "plural": plural, "atmost": inspect.AtMost, "dash": orDash, "mark": mark, "bar": barOf, "jobmark": jobMark, "imagemark": imageMark, "promotable": promotable, "runnermark": runnerMark, "wait": waitOf, "took": tookOf, "after": afterOf, "short": short, "memory": memoryOf, "places": places, "printable": printable, "plain": plain, "json": indented, "join": strings.Join,
	}
}

// A tone is how a status is drawn: a colour and, for those who see none, a shape.
type tone string

const (
	toneOK   tone = "ok"     // a filled circle with a tick
	toneWarn tone = "warn"   // a triangle
	toneBad  tone = "bad"    // a square with a cross
	toneIdle tone = "idle"   // a ring
	toneWait tone = "wait"   // a dotted ring
	toneMove tone = "active" // a half circle
)

// toneOf is the tone of a check.
func toneOf(s inspect.State) tone {
	switch s {
	case inspect.StateOK:
		return toneOK
	case inspect.StateWarning:
		return toneWarn
	case inspect.StateFault:
		return toneBad
	}
	return toneIdle
}

func jobTone(j ledger.Job) tone {
	switch j.State {
	case ledger.JobUnroutable:
		return toneBad
	case ledger.JobRunning:
		return toneMove
	case ledger.JobWaiting, ledger.JobQueued:
		return toneWait
	case ledger.JobHosted:
		return toneIdle
	}
	switch j.Conclusion {
	case "success":
		return toneOK
	case "cancelled", "skipped", "neutral":
		return toneIdle
	}
	return toneBad
}

// jobWord is the state of a job, or how it ended.
func jobWord(j ledger.Job) string {
	if j.State == ledger.JobCompleted && j.Conclusion != "" {
		return j.Conclusion
	}
	return string(j.State)
}

func runnerTone(s ledger.RunnerState) tone {
	switch s {
	case ledger.RunnerBusy:
		return toneMove
	case ledger.RunnerIdle:
		return toneOK
	case ledger.RunnerGone:
		return toneIdle
	}
	return toneWait
}

// lasting prints a duration for a table: exact below a minute.
func lasting(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return cli.Duration(d)
}

// seconds is lasting for a number of seconds.
func seconds(n float64) string { return lasting(time.Duration(n * float64(time.Second))) }

// since prints how long ago t was, in whole seconds.
func since(now, t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	if ago := now.Sub(t); ago >= time.Minute {
		return cli.Duration(ago)
	}
	return fmt.Sprintf("%.0fs", max(0, now.Sub(t).Seconds()))
}

// stamp prints a time by the clock of mayfly's machine, without the day if it is today.
func stamp(now, t time.Time) string {
	switch t = t.Local(); {
	case t.IsZero():
		return "–"
	case now.Local().Format(time.DateOnly) == t.Format(time.DateOnly):
		return t.Format("15:04:05")
	}
	return t.Format("2 Jan 15:04")
}

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// printable is text from outside without what would move a cursor or turn the direction of text.
func printable(s string) string { return cli.Printable(s) }

// A status is a tone with its word.
type status struct {
	Tone tone
	Word string
}

// mark is the status of a check, in its own word unless another is given.
func mark(s inspect.State, word string) status {
	if word == "" {
		word = string(s)
	}
	return status{toneOf(s), word}
}

// A place is an entry of the navigation.
type place struct{ Name, Href string }

func places() []place {
	return []place{
		{"Overview", "/"}, {"Jobs", "/jobs"}, {"Pools", "/pools"}, {"Runners", "/runners"}, {"Events", "/events"}, {"Image", "/image"}, {"Given up", "/letters"},
	}
}

// A bar shows how a pool's runners are used.
type bar struct {
	Words string
	Parts []barPart
}

type barPart struct {
	Class       string
	From, Width float64 // of 100
}

// barOf draws a pool, to the scale of its max, or of what it has where it has none.
func barOf(p inspect.Pool) bar {
	live := p.Busy + p.Idle + p.Coming
	whole := float64(max(p.Max, live, 1))
	b := bar{Words: fmt.Sprintf("%d busy, %d idle, %d coming", p.Busy, p.Idle, p.Coming)}
	if p.Max > 0 {
		b.Words += fmt.Sprintf(", of at most %d", p.Max)
	}
	if p.Queued > 0 {
		b.Words += "; " + plural(p.Queued, "job queued", "jobs queued")
	}
	at := 0.0
	for _, part := range []struct {
		class string
		n     int
	}{{"busy", p.Busy}, {"idle", p.Idle}, {"coming", p.Coming}} {
		width := 100 * float64(part.n) / whole
		b.Parts = append(b.Parts, barPart{part.class, at, width})
		at += width
	}
	return b
}

func jobMark(j ledger.Job) status { return status{jobTone(j), jobWord(j)} }

func runnerMark(s ledger.RunnerState) status { return status{runnerTone(s), string(s)} }

// waitOf is how long a job waited for its runner, or has waited so far.
func waitOf(j ledger.Job, now time.Time) string {
	switch {
	case j.Queued.IsZero():
		return "–"
	case !j.Started.IsZero():
		return cli.Duration(max(0, j.Started.Sub(j.Queued)))
	case j.State == ledger.JobCompleted:
		return "–"
	}
	return since(now, j.Queued)
}

// tookOf is how long a job ran, or has run so far.
func tookOf(j ledger.Job, now time.Time) string {
	switch {
	case j.Started.IsZero():
		return "–"
	case !j.Completed.IsZero():
		return cli.Duration(max(0, j.Completed.Sub(j.Started)))
	}
	return since(now, j.Started)
}

// afterOf is how long after the step before it step i of a history came; "" for the first.
func afterOf(history []ledger.Step, i int) string {
	if i == 0 {
		return ""
	}
	return "+" + cli.Duration(history[i].At.Sub(history[i-1].At))
}

// short is an image as people write it.
func short(digest string) string { return orDash(image.Digest(digest).Short()) }

func memoryOf(m pool.MemoryUse) string {
	if m.Peak <= 0 {
		return ""
	}
	return pool.Size(m.Peak) + " of " + pool.Size(m.Limit)
}

func imageMark(s image.State) status {
	switch s {
	case image.StateCurrent, image.StateGood:
		return status{toneOK, string(s)}
	case image.StateFailed:
		return status{toneBad, string(s)}
	case image.StateCanary:
		return status{toneMove, string(s)}
	case image.StateBuilt:
		return status{toneWait, string(s)}
	}
	return status{toneIdle, string(s)}
}

// promotable reports whether an image in state s can become current.
func promotable(s image.State) bool { return s == image.StateGood }
