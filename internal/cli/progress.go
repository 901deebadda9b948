package cli

import (
	"fmt"
	"time"
)

// quietFor is how far apart the lines of a [Progress] are where lines cannot
// rewrite themselves, as in the log of a CI job.
const quietFor = 5 * time.Second

// A Progress tells how long work stands: on a terminal in one line that rewrites
// itself, elsewhere in a line now and then. It is for one goroutine.
type Progress struct {
	screen *Screen
	now    func() time.Time
	last   time.Time // when a line was printed that stays
	open   bool      // a line is on the terminal that the next one replaces
}

// Progress begins to tell of long work; end it with [Progress.End]. now is the
// clock, such as [time.Now].
func (s *Screen) Progress(now func() time.Time) *Progress { return &Progress{screen: s, now: now} }

// Set says how the work stands.
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

// End clears the line; what came of the work is for the caller to say.
func (p *Progress) End() {
	if p.open {
		fmt.Fprint(p.screen.Err, eraseLine)
		p.open = false
	}
}
