package agent

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// How much of what the runner prints goes into the container's log: GitHub's own prints
// a handful of lines, but a job could print there without end.
const (
	headBytes = 256 << 10 // as it comes
	tailBytes = 64 << 10  // at the end, where there was more
	lastLines = 50        // that a report may bring, in claim.MaxOutput bytes
)

// An output is what the runner prints, on both of its outputs together: the head of it is
// passed on as it comes, the tail of it at the end. Its methods may be called from several
// goroutines.
type output struct {
	mu    sync.Mutex
	total int64  // bytes seen; mu
	tail  []byte // the last of them, tailBytes at least where there were as many; mu
}

// to returns a writer that keeps what it is given and passes the head on to out. It never
// fails: if nobody can see it, the runner still runs.
func (o *output) to(out io.Writer) io.Writer { return outputWriter{o, out} }

type outputWriter struct {
	*output
	out io.Writer
}

func (w outputWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if room := headBytes - w.total; room > 0 {
		w.out.Write(b[:min(int64(len(b)), room)])
	}
	w.total += int64(len(b))
	w.tail = append(w.tail, b...)
	if len(w.tail) > 2*tailBytes {
		w.tail = append(w.tail[:0], w.tail[len(w.tail)-tailBytes:]...)
	}
	return len(b), nil
}

// finish passes the tail on to out, after a line that says how much is left out before it.
func (o *output) finish(out io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	more := o.total - headBytes
	if more <= 0 {
		return
	}
	tail := o.tail[int64(len(o.tail))-min(more, int64(len(o.tail)), tailBytes):]
	if suppressed := more - int64(len(tail)); suppressed > 0 {
		fmt.Fprintf(out, "\nmayfly-agent: %d more bytes suppressed\n", suppressed)
	}
	out.Write(tail)
}

// last returns the last lines, as far as a report may hold them.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := bytes.TrimSpace(o.tail)
	from := max(0, len(text)-claim.MaxOutput)
	lines := strings.ToValidUTF8(string(text[from:]), "")
	if _, whole, cut := strings.Cut(lines, "\n"); from > 0 && cut {
		lines = whole // the first is not
	}
	return lastOf(lines, lastLines)
}

// lastLine returns the last line that says something, for a reason. What run.sh says of
// its own end (run.sh and run-helper.sh of actions/runner) says nothing of why.
func lastLine(text string) string {
	const most = 200
	for _, line := range slices.Backward(strings.Split(text, "\n")) {
		line = strings.TrimSpace(line)
		if line == "" || line == "Exiting runner..." || strings.HasPrefix(line, "Runner listener exit with ") {
			continue
		}
		return strings.ToValidUTF8(line[:min(len(line), most)], "")
	}
	return ""
}
