package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/disk"
)

// A writer has changes made to the database.
type writer struct {
	client *http.Client
	close  func() error
}

// writer returns one for the database that r names.
func (r reading) writer(ctx context.Context, c *commands, log *slog.Logger) (*writer, error) {
	path, err := r.database(c)
	if err != nil {
		return nil, err
	}
	w := &writer{client: controlClient(filepath.Dir(path)), close: func() error { return nil }}
	if !disk.InUse(path) {
		w.close, err = standIn(ctx, c, filepath.Dir(path), log)
	}
	return w, err
}

// askFor has one order carried out by whoever writes the database that r names.
func askFor[Out any](ctx context.Context, r reading, all *commands, log *slog.Logger, path string, in any) (out Out, err error) {
	w, err := r.writer(ctx, all, log)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	return ask[Out](ctx, w, path, in)
}

// standIn does in this process what mayfly up would do for the commands that change
// the database, and nothing else of what it does, until it is closed.
func standIn(ctx context.Context, c *commands, state string, log *slog.Logger) (close func() error, err error) {
	s, err := readPart(c.Config)
	if err != nil {
		return nil, err
	}
	m := newMachine(settings{State: state, Limits: s.limits, Outside: s.outside(), Log: log})
	if err := m.openStore(ctx); err != nil {
		return nil, errors.Join(err, m.shutdown())
	}
	l, err := listenControl(state)
	if err != nil {
		return nil, errors.Join(err, m.shutdown())
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- m.carryOut(ctx, l) }()
	return func() error {
		stop()
		return errors.Join(<-ended, m.shutdown())
	}, nil
}

// controlClient speaks to the socket in the folder state.
func controlClient(state string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			address, folder, err := controlSocket(state, controlName)
			if err != nil {
				return nil, err
			}
			defer folder.Close()
			return new(net.Dialer).DialContext(ctx, "unix", address)
		},
	}}
}

// ask has an order carried out.
func ask[Out any](ctx context.Context, w *writer, path string, in any) (out Out, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://mayfly"+path, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return out, cli.Hint(cli.WithCode(fmt.Errorf("asking mayfly up: %w", err), cli.ExitBusy),
			"mayfly up has the database and does not answer: it is starting or ending, or of an older version; try again")
	}
	defer resp.Body.Close()
	return readAnswer[Out](resp)
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
