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

// How much of the runner's output goes into the container's log: GitHub's own prints a handful of
// lines, but a job could print without end.
const (
	headBytes = 256 << 10 // as they come
	tailBytes = 64 << 10  // at the end, if there was more
	lastLines = 50        // in a report, within claim.MaxOutput bytes
)

// An output is the runner's combined output. Its head is passed on as it comes, its tail at the
// end. Its methods are safe for concurrent use.
type output struct {
	mu    sync.Mutex
	total int64  // bytes seen; guarded by mu
	tail  []byte // the last of them, at least tailBytes if there were as many; guarded by mu
}

// to returns a writer that records its input and passes the head on to out. It never fails: the
// runner must run even if nobody can see its output.
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

// finish passes the tail on to out, after a line that tells how much was omitted.
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

// last returns the last lines, as many as a report may contain.
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

// lastLine returns the last line with content, for a reason. The lines that run.sh prints about its
// own end (run.sh and run-helper.sh of actions/runner) do not tell why.
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
