package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
)

func TestEnvelope(t *testing.T) {
	e := event.Event{
		ID: "7", Source: event.SourceMayfly, DetailType: event.TypeRunnerWanted, Resources: []string{"acme/web"},
		Time: time.Date(2026, 1, 31, 12, 0, 0, 5e6, time.UTC), Detail: json.RawMessage(`{"a":  "<b>"}`),
	}
	got, err := e.AppendEnvelope([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	want := `x{"version":"0","id":"7","detail-type":"Runner Wanted","source":"mayfly","account":"000000000000",` +
		`"time":"2026-01-31T12:00:00.005Z","region":"local","resources":["acme/web"],"detail":{"a":  "<b>"}}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("AppendEnvelope (-want +got):\n%s", diff)
	}
	var back event.Event
	if err := json.Unmarshal(got[1:], &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, back); diff != "" {
		t.Errorf("after decoding (-want +got):\n%s", diff)
	}
	e.ReplayName = "again"
	if got, err = e.AppendEnvelope(nil); err != nil || !strings.Contains(string(got), `"resources":["acme/web"],"replay-name":"again","detail":`) {
		t.Errorf("AppendEnvelope of a replayed event = %s, %v", got, err)
	}
	if err := json.Unmarshal(got, &back); err != nil || back.ReplayName != "again" {
		t.Errorf("after decoding a replayed event: %+v, %v", back, err)
	}
	if _, err := json.Marshal(event.Event{}); err != nil {
		t.Errorf("encoding the zero event: %v", err)
	}
}
