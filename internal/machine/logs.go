package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/fleet"
)

// A LogOrder asks for the output of a runner's container.
type LogOrder struct {
	Runner string `json:"runner"`
	fleet.LogQuery
}

// logs answers a LogOrder with text as it comes.
func (m *Machine) logs(w http.ResponseWriter, r *http.Request) {
	var in LogOrder
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxOrder)).Decode(&in)
	switch {
	case err != nil:
		err = fmt.Errorf("reading the order: %w", err)
	case m.launcher == nil:
		err = errors.New("no mayfly up runs here")
	default:
		err = m.launcher.Logs(r.Context(), in.Runner, in.LogQuery, flushed{w, http.NewResponseController(w)})
	}
	if err != nil { // of use when nothing was written yet
		reply(w, http.StatusUnprocessableEntity, complaint{err.Error()})
	}
}

// flushed sends what is written at once.
type flushed struct {
	io.Writer
	control *http.ResponseController
}

func (f flushed) Write(b []byte) (int, error) {
	n, err := f.Writer.Write(b)
	return n, errors.Join(err, f.control.Flush())
}

// Logs has the mayfly up that uses the folder state write the output of a runner to out.
func Logs(ctx context.Context, state string, in LogOrder, out io.Writer) error {
	resp, err := send(ctx, state, "/logs", in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, err := readAnswer[struct{}](resp)
		return cli.Hint(err, "mayfly runners lists those that live; of one that is gone, mayfly runners NAME shows what it printed last")
	}
	_, err = io.Copy(out, resp.Body)
	return err
}
