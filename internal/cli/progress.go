package cli

import (
	"fmt"
	"time"
)

// quietFor is the least time between two lines of a [Progress] where lines cannot
// rewrite themselves, as in the log of a CI job.
const quietFor = 5 * time.Second

// A Progress shows the state of long work: on a terminal in one line that rewrites itself,
// elsewhere in a line every few seconds. It is not safe for concurrent use.
type Progress struct {
	screen *Screen
	now    func() time.Time
	last   time.Time // when the last permanent line was printed
	open   bool      // whether the terminal shows a line that the next one replaces
}

// Progress starts to show the state of long work, until [Progress.End]. now is the clock,
// such as [time.Now].
func (s *Screen) Progress(now func() time.Time) *Progress { return &Progress{screen: s, now: now} }

// Set shows a new state.
func (p *Progress) Set(format string, args ...any) {
	text := Printable(fmt.Sprintf(format, args...))
	switch now := p.now(); {
	case p.screen.Live:
		fmt.Fprintf(p.screen.Err, eraseLine+"%s", text)
		p.open = true
	case now.Sub(p.last) >= quietFor:
		p.screen.Notef("%s", text)
		p.last = now
	}
}

// End clears the line. The caller reports the result.
func (p *Progress) End() {
	if p.open {
		fmt.Fprint(p.screen.Err, eraseLine)
		p.open = false
	}
}
