package engine

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// maxLogs bounds what is read of a container's output, in bytes.
const maxLogs = 1 << 20

// Logs returns the last lines that the container of runner printed, on both outputs.
func (l *Launcher) Logs(ctx context.Context, runner string, lines int) (string, error) {
	if _, err := l.inspect(ctx, runner); err != nil {
		return "", err
	}
	stream, err := l.api.ContainerLogs(ctx, runner, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(lines)})
	if err != nil {
		return "", fmt.Errorf("reading the output of runner %s: %w", runner, err)
	}
	defer stream.Close()
	var text bytes.Buffer
	all := &bounded{&text}
	if _, err := stdcopy.StdCopy(all, all, stream); err != nil && text.Len() == 0 {
		return "", fmt.Errorf("reading the output of runner %s: %w", runner, err)
	}
	return text.String(), nil
}

// bounded takes everything and keeps the beginning.
type bounded struct{ to *bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.to.Write(p[:min(len(p), maxLogs-b.to.Len())])
	return len(p), nil
}
