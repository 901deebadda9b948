package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mayfly-ci/mayfly/internal/fleet"
)

var _ fleet.LogReader = (*Launcher)(nil)

// maxLogs bounds how much of the past output is read, in bytes. The agent bounds the file itself.
const maxLogs = 1 << 20

// followEvery is how often a growing file is read.
const followEvery = 200 * time.Millisecond

// Logs implements [fleet.LogReader].
func (l *Launcher) Logs(ctx context.Context, runner string, q fleet.LogQuery, out io.Writer) error {
	r, err := l.find(runner)
	if err != nil {
		return err
	}
	file, err := os.Open(r.path("log"))
	if err != nil {
		return fmt.Errorf("reading the output of runner %s: %w", runner, err)
	}
	defer file.Close()
	if err := lastLines(file, q.Lines, out); err != nil || !q.Follow {
		return err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		running := r.running() // before reading, or its last output could be missed
		if _, err := io.Copy(out, file); err != nil || !running {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lastLines writes the last lines of file to out, and leaves the file at their end.
func lastLines(file *os.File, lines int, out io.Writer) error {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := file.Seek(max(0, size-maxLogs), io.SeekStart); err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxLogs))
	if err != nil {
		return err
	}
	from := len(bytes.TrimSuffix(text, []byte("\n")))
	for ; lines > 0 && from > 0; lines-- {
		from = bytes.LastIndexByte(text[:from], '\n')
	}
	_, err = out.Write(text[from+1:])
	return err
}
