package engine

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/mayfly-ci/mayfly/internal/fleet"
)

var _ fleet.LogReader = (*Launcher)(nil)

// Logs implements [fleet.LogReader]. It returns standard output and standard error.
func (l *Launcher) Logs(ctx context.Context, runner string, q fleet.LogQuery, out io.Writer) error {
	if _, err := l.inspect(ctx, runner); err != nil {
		return err
	}
	stream, err := l.api.ContainerLogs(ctx, runner, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(q.Lines), Follow: q.Follow,
	})
	if err != nil {
		return fmt.Errorf("reading the output of runner %s: %w", runner, err)
	}
	defer stream.Close()
	if _, err := stdcopy.StdCopy(out, out, stream); err != nil {
		return fmt.Errorf("reading the output of runner %s: %w", runner, err)
	}
	return nil
}
