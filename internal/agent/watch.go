package agent

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// A watched is one of the runner's outputs and its destination.
type watched struct {
	from io.ReadCloser
	to   io.Writer
}

// follow copies the runner's outputs as they come and sends the phases that their lines tell. It
// ends with the last output and then closes p.phases.
func (p *process) follow(outputs ...watched) {
	defer close(p.phases)
	var all sync.WaitGroup
	for _, o := range outputs {
		all.Go(func() { p.watch(o.from, p.output.to(o.to)) })
	}
	all.Wait()
}

func (p *process) watch(from io.ReadCloser, to io.Writer) {
	defer from.Close()
	lines := lineReader{each: func(line string) {
		if phase := p.phase(line); phase != "" {
			p.phases <- phase
		}
	}}
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		to.Write(buf[:n])
		lines.write(buf[:n])
		if err != nil {
			return
		}
	}
}

// phaseOf recognizes the lines in which GitHub's runner says what it does, such as "2026-01-31
// 12:00:00Z: Running job: build" (actions/runner, JobDispatcher.cs and MessageListener.cs of the
// Listener).
func phaseOf(line string) string {
	const stamp = len("2026-01-31 12:00:00")
	at, text, ok := strings.Cut(line, "Z: ")
	switch {
	case deprecated(line):
		return phaseDeprecated
	case strings.HasPrefix(line, "An error occurred: "): // Runner.Listener's Program.cs
		return phaseError
	case slices.Contains(restarts, line):
		return claim.PhaseRestarting
	case !ok || len(at) != stamp:
		return ""
	case strings.HasPrefix(text, "Listening for Jobs"):
		return claim.PhaseIdle
	case strings.HasPrefix(text, "Running job: "):
		return claim.PhaseBusy
	}
	return ""
}

// restarts are the lines in which the runner says that it will be back: to update itself
// (actions/runner, SelfUpdater.cs), and those of run.sh after that or after an error.
var restarts = []string{
	"Runner will exit shortly for update, should be back online within 10 seconds.",
	"Restarting runner...",
}

// phaseDeprecated is never reported: GitHub has no jobs for a runner that old.
const phaseDeprecated = "deprecated"

// phaseError is never reported: the runner printed that something went wrong.
const phaseError = "error"

// deprecated reports whether GitHub refuses the runner's version, according to a line that follows
// the one about listening: "An error occurred: Runner version v2.335.1 is deprecated and cannot
// receive messages." (actions/runner, BrokerHttpClient.cs). Runners before 2.333.0 then exit with a
// code other than 7, and run.sh turns that into 0.
func deprecated(line string) bool {
	return strings.Contains(line, "Runner version v") && strings.HasSuffix(line, " is deprecated and cannot receive messages.")
}

// maxLine is how much of a line is examined; the runner's own are short.
const maxLine = 1 << 10

// A lineReader splits its input into lines and passes the first maxLine bytes of each to each.
type lineReader struct {
	each func(line string)
	line []byte
}

func (l *lineReader) write(b []byte) {
	for {
		part, rest, whole := bytes.Cut(b, []byte("\n"))
		l.line = append(l.line, part[:min(len(part), maxLine-len(l.line))]...)
		if !whole {
			return
		}
		l.each(strings.TrimSuffix(string(l.line), "\r"))
		l.line, b = l.line[:0], rest
	}
}
