package function_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/event"
)

const anEvent = `{"version":"0","id":"%s","source":"mayfly","detail-type":"T","time":"2026-01-31T12:00:00Z","resources":[],"detail":{}}`

// TestEvents: of a batch only what failed is given again, in the form that Lambda reads; a rule's own event is
// an error of the call.
func TestEvents(t *testing.T) {
	var got []string
	call := function.Events(func(_ context.Context, list []event.Event) (errs []error) {
		for _, e := range list {
			got = append(got, e.ID)
			var err error
			if e.ID == "bad" {
				err = errors.New("fault")
			}
			errs = append(errs, err)
		}
		return errs
	}, slog.New(slog.DiscardHandler))
	message := func(id, body string) map[string]string { return map[string]string{"messageId": id, "body": body} }
	say := func(id string) string { return fmt.Sprintf(anEvent, id) }
	for name, test := range map[string]struct {
		input any
		want  string // answer
		err   string
	}{
		"a batch":              {map[string]any{"Records": []any{message("1", say("a")), message("2", say("bad")), message("3", "no event"), message("4", say("b"))}}, `{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":"2"}]}`, ""},
		"a batch without fail": {map[string]any{"Records": []any{message("1", say("a"))}}, `{"batchItemFailures":null}`, ""},
		"an event":             {json.RawMessage(say("a")), `null`, ""},
		"an event that fails":  {json.RawMessage(say("bad")), `null`, "fault"},
		"something else":       {[]string{}, `null`, "neither an event nor messages of a queue"},
	} {
		got = nil
		input, err := json.Marshal(test.input)
		if err != nil {
			t.Fatal(err)
		}
		out, err := call(t.Context(), input)
		answer, _ := json.Marshal(out)
		if string(answer) != test.want || fmt.Sprint(err)[:min(len(test.err), len(fmt.Sprint(err)))] != test.err || test.err == "" && err != nil {
			t.Errorf("%s: %s, %v: want %s, %s", name, answer, err, test.want, test.err)
		}
		if name == "a batch" && fmt.Sprint(got) != "[a bad b]" {
			t.Errorf("handled %v", got)
		}
	}
}
