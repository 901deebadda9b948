package eventbus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// A script is EventBridge with a bad day: it speaks its protocol, and of each call
// takes what the script says.
type script struct {
	answers []string   // by call: "" takes all, "500" fails, "0,2" takes all but these
	calls   [][]string // details that came, by call
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Entries []struct{ EventBusName, Source, DetailType, Detail string }
	}
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &in); err != nil || r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var details []string
	for _, e := range in.Entries {
		details = append(details, e.Detail)
	}
	s.calls = append(s.calls, details)
	answer := ""
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	if answer == "500" {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	entries, failed := []map[string]string{}, 0
	for i := range in.Entries {
		if strings.Contains(","+answer+",", fmt.Sprintf(",%d,", i)) {
			entries = append(entries, map[string]string{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"})
			failed++
			continue
		}
		entries = append(entries, map[string]string{"EventId": fmt.Sprint("e", i)})
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	json.NewEncoder(w).Encode(map[string]any{"Entries": entries, "FailedEntryCount": failed})
}

func open(t *testing.T, h http.Handler) *eventbus.Bus {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	env := map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": server.URL}
	return eventbus.New(function.Config(func(name string) string { return env[name] }), "bus")
}

func numbered(n int, fill string) (list []event.Event) {
	for i := range n {
		list = append(list, event.Event{ID: fmt.Sprint(i), Source: "s", DetailType: "t", Time: time.Now(), Detail: json.RawMessage(fmt.Sprintf(`{"n":"%d%s"}`, i, fill))})
	}
	return list
}

// names turns the details of each call into the numbers of its events.
func names(calls [][]string) (list []string) {
	for _, c := range calls {
		var all []string
		for _, detail := range c {
			all = append(all, strings.Trim(detail, `{"n:}x`))
		}
		list = append(list, strings.Join(all, " "))
	}
	return list
}

// TestOnlyWhatFailedAgain looks at what each call holds.
func TestOnlyWhatFailedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		answers []string
		events  []event.Event
		calls   []string
		fails   string // "" when all is taken in the end
	}{
		"none":                 {nil, nil, nil, ""},
		"taken":                {nil, numbered(3, ""), []string{"0 1 2"}, ""},
		"one is not":           {[]string{"1"}, numbered(3, ""), []string{"0 1 2", "1"}, ""},
		"the last, then first": {[]string{"0,2", "1"}, numbered(3, ""), []string{"0 1 2", "0 2", "2"}, ""},
		"the whole call":       {[]string{"500"}, numbered(2, ""), []string{"0 1", "0 1"}, ""},
		"for good":             {[]string{"0", "0", "500", "0"}, numbered(2, ""), []string{"0 1", "0", "0", "0"}, "ThrottlingException: slow down"},
		"more than ten":        {[]string{"", "0"}, numbered(12, ""), []string{"0 1 2 3 4 5 6 7 8 9", "10 11", "10"}, ""},
		"large":                {nil, numbered(3, strings.Repeat("x", 500_000)), []string{"0 1", "2"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &script{answers: test.answers}
			err := open(t, s).Put(t.Context(), test.events...)
			if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("error %v, want %q", err, test.fails)
			}
			if diff := cmp.Diff(test.calls, names(s.calls)); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	s := &script{}
	fresh, err := open(t, s).Publish(t.Context(), numbered(1, strings.Repeat("x", 1<<20))[0])
	if !errors.Is(err, eventbus.ErrTooLarge) || len(s.calls) != 0 {
		t.Errorf("fresh %v, error %v, %d calls: want ErrTooLarge and none", fresh, err, len(s.calls))
	}
}

// TestQuarantine has the largest payload there may be lack something that takes long to say: what
// goes over the bus is still an event, with the payload as it came.
func TestQuarantine(t *testing.T) {
	s := &script{}
	e := numbered(1, strings.Repeat("<", eventbus.MaxPayload-len(`{"n":"0"}`)))[0]
	fresh, err := open(t, s).Quarantine(t.Context(), e, strings.Repeat("\"", 100_000))
	if err != nil || !fresh || len(s.calls) != 1 {
		t.Fatalf("fresh %v, %v, %d calls", fresh, err, len(s.calls))
	}
	var told contract.Quarantined
	detail := s.calls[0][0]
	if err := json.Unmarshal([]byte(detail), &told); err != nil || string(told.Event.Detail) != string(e.Detail) || len(told.Reason) != 1000 {
		t.Errorf("%v, a reason of %d bytes, a payload of %d: want 1000 and %d, as they came", err, len(told.Reason), len(told.Event.Detail), len(e.Detail))
	}
	if all := len(detail) + 1000; all > 1<<20 { // SQS keeps it with EventBridge's envelope
		t.Errorf("%d bytes: no queue takes them", all)
	}
}

// TestGivesUp has a bus that fails, and nobody who waits any more after the first call.
func TestGivesUp(t *testing.T) {
	s := &script{answers: []string{"500", "500", "500", "500"}}
	ctx, cancel := context.WithCancel(t.Context())
	bus := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		cancel()
	}))
	if err := bus.Put(ctx, numbered(1, "")...); !errors.Is(err, context.Canceled) || len(s.calls) != 1 {
		t.Errorf("error %v after %d calls, want that it was cancelled after 1", err, len(s.calls))
	}
}

// TestWithMoto puts an event on a bus of moto's.
func TestWithMoto(t *testing.T) {
	cloud := awstest.Start(t)
	if _, err := eventbridge.NewFromConfig(cloud.Config).CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("bus")}); err != nil {
		t.Fatal(err)
	}
	fresh, err := eventbus.New(cloud.Config, "bus").Publish(t.Context(), numbered(1, "")[0])
	if err != nil || !fresh {
		t.Errorf("fresh %v, %v", fresh, err)
	}
}
