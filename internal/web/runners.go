package web

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

const runnersShown = 50

// A runnerList is a page of runners.
type runnerList struct {
	Runners []ledger.Runner
	All     bool   // those that are gone, too
	Next    string // address of the next page; "" on the last
	Now     time.Time
}

func (p *Page) runners(r *request) (view, error) {
	values := r.URL.Query()
	all := values.Get("all") != ""
	list, err := r.Ledger.Runners(r.Context(), ledger.RunnerQuery{Live: !all, After: ledger.RunnerName(values.Get("after")), Limit: runnersShown + 1})
	if err != nil {
		return view{}, err
	}
	l := runnerList{Runners: list[:min(len(list), runnersShown)], All: all, Now: r.now}
	if len(list) > runnersShown {
		l.Next = with(r.URL.Path, values, "after", string(l.Runners[runnersShown-1].Name))
	}
	return view{Name: "runners", Title: "Runners", Place: "/runners", Live: true, Data: l}, nil
}

// A runnerStory is what a runner's page shows.
type runnerStory struct {
	ledger.Runner
	Printed string // so far, or last
	Follows bool   // more comes
	LogsAt  string // where it prints instead
	Now     time.Time
}

// printedAtFirst is how many lines of a runner's output its page begins with.
const printedAtFirst = 200

func (p *Page) runner(r *request) (view, error) {
	list, err := r.Ledger.Runners(r.Context(), ledger.RunnerQuery{Name: ledger.RunnerName(r.PathValue("name"))})
	if err != nil {
		return view{}, err
	}
	s := runnerStory{Runner: list[0], Printed: list[0].Output, LogsAt: r.LogsAt, Now: r.now}
	if s.Live() && r.Logs != nil {
		s.Follows = true
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := r.Logs(ctx, string(s.Name), printedAtFirst, false, &out); err != nil {
			s.LogsAt = err.Error() // it may not have started, or may have just ended
		}
		s.Printed = plain(out.String())
	}
	return view{Name: "runner", Title: string(s.Name), Place: "/runners", Live: true, Data: s}, nil
}

// output streams what a live runner prints, a line an event, and then an event "end".
func (p *Page) output(w http.ResponseWriter, r *http.Request) {
	source, err := p.open(r.Context())
	if err != nil || source.Logs == nil {
		http.Error(w, "there is no output to follow here", http.StatusNotFound)
		return
	}
	select {
	case p.live <- struct{}{}:
		defer func() { <-p.live }()
	default:
		http.Error(w, "too many live pages: reload instead", http.StatusServiceUnavailable)
		return
	}
	out := newStream(w)
	lines := &lineWriter{to: out}
	if err := source.Logs(r.Context(), r.PathValue("name"), printedAtFirst, true, lines); err != nil && !lines.some {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	_ = out.named("end", []byte("."))
}

// maxLine bounds a line of output.
const maxLine = 16 << 10

// A lineWriter sends each line that is written to it as an event.
type lineWriter struct {
	to   eventStream
	rest []byte
	some bool
}

// Write implements [io.Writer].
func (l *lineWriter) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole && len(line) < maxLine {
			return len(b), nil
		}
		l.rest, l.some = rest, true
		if err := l.to.send([]byte(plain(string(line[:min(len(line), maxLine)])) + "\n")); err != nil {
			return 0, err
		}
	}
}

// control matches what moves a terminal's cursor or changes its colours (ECMA-48).
var control = regexp.MustCompile("\x1b(\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)|[@-Z\\\\-_])")

// plain is output without the colours of a terminal.
func plain(s string) string {
	s = control.ReplaceAllString(s, "")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
