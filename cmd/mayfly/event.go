package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// eventCmd is `mayfly event`.
type eventCmd struct {
	TestPattern testPatternCmd `cmd:"" help:"Tell whether an event pattern matches an event. Exit codes: 0 it does, 1 it does not, 2 one of them is invalid."`
	Put         putCmd         `cmd:"" help:"Put events on the bus."`
}

type testPatternCmd struct {
	Pattern string `required:"" help:"File of the pattern; - is standard input." placeholder:"FILE"`
	Event   string `required:"" help:"File of the event, envelope and all; - is standard input." placeholder:"FILE"`
}

// errNoMatch is not a fault, but what was asked is answered with no.
var errNoMatch = errors.New("no match")

// Run matches the one against the other.
func (c *testPatternCmd) Run(screen *cli.Screen) error {
	p, err := tool.ReadPattern(c.Pattern)
	if err != nil {
		return err
	}
	e, err := tool.ReadObject(c.Event)
	if err != nil {
		return err
	}
	if !p.Matches(e) {
		return errNoMatch
	}
	_, err = fmt.Fprintln(screen.Out, "match")
	return err
}

type putCmd struct {
	tool.Reading
	File string `arg:"" help:"File with events in EventBridge's envelope, one after another; - is standard input. An id and a time are made up for those without."`
}

// OnAWS says that the command is for this machine only.
func (*putCmd) OnAWS(*tool.Globals) (bool, error) { return false, nil }

// Run puts the events of a file on the bus, in their order.
func (c *putCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen, log *slog.Logger) error {
	text, err := tool.ReadFile(c.File)
	if err != nil {
		return err
	}
	events, err := readEvents(text, time.Now())
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", c.File, err), `want events such as {"source": "acme.shop", "detail-type": "Order Placed", "detail": {}}`)
	}
	answer, err := askFor[machine.PutAnswer](ctx, database{Globals: all, Reading: c.Reading, log: log}, "/events", events)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return screen.JSON(answer)
	}
	_, err = fmt.Fprintf(screen.Out, "events published: %d, known before: %d\n", answer.Published, answer.Known)
	return err
}

// readEvents reads events one after another.
func readEvents(text []byte, now time.Time) (events []event.Event, err error) {
	for rest := json.NewDecoder(bytes.NewReader(text)); ; {
		var members map[string]json.RawMessage
		switch err := rest.Decode(&members); {
		case errors.Is(err, io.EOF) && len(events) > 0:
			return events, nil
		case err != nil:
			return nil, fmt.Errorf("event %d: %w", len(events)+1, err)
		}
		e, err := completed(members, now)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", len(events)+1, err)
		}
		events = append(events, e)
	}
}

// completed makes an event of the members of an envelope.
func completed(members map[string]json.RawMessage, now time.Time) (e event.Event, err error) {
	for name, value := range map[string]string{"id": rand.Text(), "time": now.UTC().Format(time.RFC3339Nano)} {
		if _, ok := members[name]; !ok && members != nil {
			members[name] = json.RawMessage(`"` + value + `"`)
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, err
	}
	switch {
	case e.Source == event.SourceMayfly:
		return e, fmt.Errorf("source %q: want another one: what mayfly says to itself nobody says for it", e.Source)
	case e.ReplayName != "":
		return e, fmt.Errorf("replay-name %q: want none: it is given by mayfly replay", e.ReplayName)
	case e.Source == event.SourceGitHub && e.DetailType == event.TypeWorkflowJob:
		if _, err := event.ParseWorkflowJob(e.Detail); err != nil {
			return e, fmt.Errorf("a job's event without what the ledger reads of it: %w", err)
		}
	}
	return e, nil
}
