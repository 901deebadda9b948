package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/disk"
)

// controlClient returns a client of the control socket in the folder state.
func controlClient(state string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			address, folder, err := controlSocket(state, ControlName)
			if err != nil {
				return nil, err
			}
			defer folder.Close()
			return new(net.Dialer).DialContext(ctx, "unix", address)
		},
	}}
}

// Ask has the mayfly up, or the stand-in, that uses the folder state carry out an order.
func Ask[Out any](ctx context.Context, state, path string, in any) (out Out, err error) {
	resp, err := send(ctx, state, path, in)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	return readAnswer[Out](resp)
}

func send(ctx context.Context, state, path string, in any) (*http.Response, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://mayfly"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := controlClient(state).Do(r)
	if err != nil {
		return nil, cli.Hint(cli.WithCode(fmt.Errorf("asking mayfly up: %w", err), cli.ExitBusy),
			"mayfly up has the database and does not answer: it is starting or ending, or of an older version; try again")
	}
	return resp, nil
}

func readAnswer[Out any](resp *http.Response) (out Out, err error) {
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return out, fmt.Errorf("reading the answer of mayfly up: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return out, json.Unmarshal(text, &out)
	}
	var no complaint
	if json.Unmarshal(text, &no) != nil || no.Error == "" {
		no.Error = resp.Status
	}
	if resp.StatusCode == http.StatusInsufficientStorage {
		return out, disk.ErrFull
	}
	return out, errors.New(no.Error)
}
