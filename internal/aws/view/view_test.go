package view_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
	"github.com/mayfly-ci/mayfly/internal/aws/view"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

func envelope(t *testing.T, id, source, detailType string) string {
	t.Helper()
	text, err := event.Event{ID: id, Source: source, DetailType: detailType, Time: time.Now(), Detail: []byte(`{"n":"` + id + `"}`)}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func ids(list []eventlog.Stored) (ids []string) {
	for _, s := range list {
		ids = append(ids, s.Event.ID)
	}
	return ids
}

func TestEvents(t *testing.T) {
	cloud := awstest.Start(t)
	logs := cloudwatchlogs.NewFromConfig(cloud.Config)
	group, stream := aws.String("/aws/events/ci"), aws.String("1")
	_, err1 := logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group})
	_, err2 := logs.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	now := time.Now()
	write := func(ago time.Duration, line string) {
		t.Helper()
		if _, err := logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: group, LogStreamName: stream,
			LogEvents: []logtypes.InputLogEvent{{Timestamp: aws.Int64(now.Add(-ago).UnixMilli()), Message: &line}}}); err != nil {
			t.Fatal(err)
		}
	}
	write(48*time.Hour, envelope(t, "old", "github.com", "workflow_job"))
	write(20*time.Minute, envelope(t, "run", "github.com", "workflow_run"))
	write(10*time.Minute, "no event")
	write(5*time.Minute, envelope(t, "job", "github.com", "workflow_job"))
	events := view.NewEvents(cloud.Config, *group)
	only, err := pattern.Parse([]byte(`{"detail":{"n":["run"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		filter eventlog.Filter
		want   []string
	}{
		"all":     {eventlog.Filter{}, []string{"job", "run", "old"}},
		"limit":   {eventlog.Filter{Limit: 1}, []string{"job"}},
		"since":   {eventlog.Filter{Since: now.Add(-10 * time.Minute)}, []string{"job"}},
		"type":    {eventlog.Filter{DetailType: "workflow_job", Since: now.Add(-time.Hour)}, []string{"job"}},
		"source":  {eventlog.Filter{Source: "mayfly"}, nil},
		"pattern": {eventlog.Filter{Pattern: only}, []string{"run"}},
	} {
		list, err := events.Events(t.Context(), c.filter)
		if err != nil || !slices.Equal(ids(list), c.want) {
			t.Errorf("%s: %q, %v: want %q", name, ids(list), err, c.want)
		}
	}
	for name, c := range map[string]struct {
		from, to time.Duration // ago
		kind     string
		want     []string
	}{
		"all":         {time.Hour, -time.Hour, "workflow_job", []string{"job"}},
		"another":     {time.Hour, 0, "workflow_run", []string{"run"}},
		"none before": {2 * time.Minute, 0, "workflow_job", nil},
	} {
		to := time.Time{} // now
		if c.to != 0 {
			to = now.Add(-c.to)
		}
		var ids []string
		if err := events.Each(t.Context(), now.Add(-c.from), to, c.kind, func(e event.Event) error {
			ids = append(ids, e.ID)
			return nil
		}); err != nil || !slices.Equal(ids, c.want) {
			t.Errorf("each of %s: %q, %v: want %q", name, ids, err, c.want)
		}
	}
	if err := events.Each(t.Context(), now.Add(-time.Hour), now.Add(time.Hour), "workflow_job", func(event.Event) error { return http.ErrAbortHandler }); err != http.ErrAbortHandler {
		t.Errorf("error %v: want that of what is called", err)
	}
	list, err := events.Events(t.Context(), eventlog.Filter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	after := slices.MaxFunc(list, func(a, b eventlog.Stored) int { return int(a.Seq - b.Seq) }).Seq
	write(0, envelope(t, "new", "github.com", "workflow_job"))
	if list, err = events.Events(t.Context(), eventlog.Filter{After: max(after, 3)}); err != nil || !slices.Equal(ids(list), []string{"new"}) {
		t.Errorf("followed: %q, %v: want the new one", ids(list), err)
	}
}

func TestLetters(t *testing.T) {
	cloud := awstest.Start(t)
	queues := sqs.NewFromConfig(cloud.Config)
	made, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("ci-dead-letters")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventbridge.NewFromConfig(cloud.Config).CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("ci")}); err != nil {
		t.Fatal(err)
	}
	send := func(body string, attributes ...string) {
		t.Helper()
		in := &sqs.SendMessageInput{QueueUrl: made.QueueUrl, MessageBody: &body, MessageAttributes: map[string]types.MessageAttributeValue{}}
		for i := 0; i < len(attributes); i += 2 {
			in.MessageAttributes[attributes[i]] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &attributes[i+1]}
		}
		if _, err := queues.SendMessage(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	send(envelope(t, "one", "github.com", "workflow_job"), "RULE_ARN", "arn:aws:events:eu-west-1:1:rule/ci/queued-small", "ERROR_CODE", "CAPACITY", "ERROR_MESSAGE", "quota is full", "RETRY_ATTEMPTS", "3")
	send(envelope(t, "two", "aws.ecs", "ECS Task State Change"), "ErrorCode", "200", "ErrorMessage", "timed out")
	letters := view.NewLetters(cloud.Config, *made.QueueUrl, eventbus.New(cloud.Config, "ci"))
	list := func(f eventlog.LetterFilter) (lines []string) {
		t.Helper()
		all, err := letters.Letters(t.Context(), f, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			lines = append(lines, fmt.Sprintf("%s %s %d %s", d.Event.ID, d.Rule, d.Attempts, d.Reason))
		}
		slices.Sort(lines)
		return lines
	}
	want := []string{"one queued-small 4 CAPACITY: quota is full", "two function 1 200: timed out"}
	for range 2 { // they are still there when somebody has looked
		if diff := cmp.Diff(want, list(eventlog.LetterFilter{})); diff != "" {
			t.Errorf("letters (-want +got):\n%s", diff)
		}
	}
	if n, err := letters.Retry(t.Context(), eventlog.LetterFilter{}); err != nil || n != 1 {
		t.Errorf("retried %d, %v: want the one that may be put on the bus", n, err)
	}
	if got := list(eventlog.LetterFilter{}); !slices.Equal(got, want[1:]) {
		t.Errorf("left %q", got)
	}
	if n, err := letters.Drop(t.Context(), eventlog.LetterFilter{Rule: "function"}); err != nil || n != 1 || len(list(eventlog.LetterFilter{})) != 0 {
		t.Errorf("dropped %d, %v", n, err)
	}
}

// TestQuarantine has moto's own rule bring deliveries into the queue, releases and drops them.
func TestQuarantine(t *testing.T) {
	cloud := awstest.Start(t)
	kept, out := cloud.RuleToQueue(t, "ci", "quarantine", `{"source":["mayfly"],"detail-type":["Delivery Quarantined"]}`), cloud.RuleToQueue(t, "ci", "released", `{"source":["github.com"]}`)
	bus := eventbus.New(cloud.Config, "ci")
	held := view.NewQuarantine(cloud.Config, kept, bus, func(e event.Event) (event.Event, error) {
		if e.ID == "odd" {
			return e, errors.New("odd still")
		}
		e.Resources = []string{"acme/web"}
		return e, nil
	})
	var many []string // more than a call brings
	for i := range 11 {
		many = append(many, fmt.Sprintf("fit-%d", i))
	}
	for _, id := range append(many, "odd", "fit-0", "gone", "gone") { // some came twice
		e := event.Event{ID: id, Source: event.SourceGitHub, DetailType: "ping", Time: time.Now(), Detail: []byte(`{"n":"` + id + `"}`)}
		if _, err := bus.Quarantine(t.Context(), e, "no "+id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sqs.NewFromConfig(cloud.Config).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &kept, MessageBody: aws.String(`{"id":"none"}`)}); err != nil {
		t.Fatal(err)
	}
	list := func(f ...string) (ids []string) {
		t.Helper()
		all, err := held.Quarantined(t.Context(), busFilter(f), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range all {
			if q.At.IsZero() || q.Reason != "no "+q.Event.ID && len(q.Event.ID) < 10 {
				t.Errorf("%+v", q)
			}
			ids = append(ids, q.Event.ID)
		}
		return ids
	}
	for range 2 { // they are still there when somebody has looked
		if got := list(); len(got) != 14 {
			t.Errorf("in quarantine: %q, want 14", got)
		}
	}
	if n, err := held.Count(t.Context()); err != nil || n != 14 {
		t.Errorf("count %d, %v: want 14, what came twice once", n, err)
	}
	if n, err := held.Drop(t.Context(), busFilter([]string{"gone"})); err != nil || n != 1 || len(list("gone")) != 0 {
		t.Errorf("dropped %d, %v: want the one that came twice", n, err)
	}
	if r, err := held.Release(t.Context(), busFilter([]string{"fit-3"})); err != nil || r.Released != 1 || r.Held != 0 {
		t.Errorf("released %+v, %v: want one", r, err)
	}
	if r, err := held.Release(t.Context(), busFilter(nil)); err != nil || r.Released != 10 || r.Held != 2 {
		t.Errorf("released %+v, %v: want all but what is odd, and what is no event", r, err)
	}
	if got := list(); len(got) != 2 || !slices.Contains(got, "odd") {
		t.Errorf("left %q", got)
	}
	var released []string
	for _, body := range cloud.Received(t, out) {
		_, detail, _ := strings.Cut(body, `"resources": ["acme/web"], "detail": {"n": "`)
		released = append(released, strings.TrimSuffix(detail, `"}}`))
	}
	slices.Sort(released)
	slices.Sort(many)
	if diff := cmp.Diff(many, released); diff != "" {
		t.Errorf("on the bus, routed (-want +got):\n%s", diff)
	}
}

func busFilter(ids []string) eventlog.QuarantineFilter { return eventlog.QuarantineFilter{Events: ids} }

// TestQuarantineOfOldStack reads a stack that has none yet.
func TestQuarantineOfOldStack(t *testing.T) {
	held := view.NewQuarantine(aws.Config{}, "", nil, nil)
	_, err := held.Quarantined(t.Context(), eventlog.QuarantineFilter{}, 1)
	if hint, ok := refusal.Of(err); !ok || !strings.Contains(hint, "mayfly deploy") {
		t.Errorf("%v, hint %q", err, hint)
	}
	if n, err := held.Count(t.Context()); n != 0 || err != nil {
		t.Errorf("count %d, %v", n, err)
	}
}

// The registry is not in moto: awstest.Schemas answers here.
func TestSchemas(t *testing.T) {
	registry := &awstest.Schemas{}
	front := awstest.Start(t).Front(t, map[string]http.Handler{"schemas": registry.Handler()})
	var r schema.Registry
	for _, detail := range []string{`{"a":1}`, `{"a":1,"b":"x"}`} {
		s, _, err := r.Observe([]byte(`{"source":"github.com","detail-type":"workflow_job","time":"2026-01-31T12:00:00Z","detail":` + detail + `}`))
		if err != nil {
			t.Fatal(err)
		}
		content, err := s.OpenAPI()
		if err != nil {
			t.Fatal(err)
		}
		registry.Discover(s.Name(), string(content))
	}
	registry.Discover("aws.s3@ObjectCreated", "somebody else's")
	schemas := view.NewSchemas(front.Config)
	all, err := schemas.Schemas(t.Context())
	versions := all["github.com@Workflow_job"]
	if err != nil || len(all) != 1 || len(versions) != 2 || versions[1].Version != 2 || versions[1].Since.IsZero() {
		t.Fatalf("schemas %+v, %v: want two versions of ours", all, err)
	}
	if changes := schema.Diff(versions[0], versions[1]); len(changes) != 1 {
		t.Errorf("changes %v, want one", changes)
	}
	for range 2 {
		if err := schemas.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left := registry.Names(); !slices.Equal(left, []string{"aws.s3@ObjectCreated"}) {
		t.Errorf("left %q: want what is not ours", left)
	}
}

// TestReplay has moto's own archive deliver events again: to a rule that takes replayed events, to one that
// takes those of --launch only, and to one that takes none.
func TestReplay(t *testing.T) {
	cloud := awstest.Start(t)
	queues := map[string]string{}
	for name, names := range map[string]string{"all": `[{"exists":true}]`, "new": `[{"exists":false},{"prefix":"launch-"}]`, "once": `[{"exists":false}]`} {
		queues[name] = cloud.RuleToQueue(t, "ci", name, `{"source":["github.com"],"replay-name":`+names+`}`)
	}
	at := "arn:aws:events:" + awstest.Region + ":" + awstest.Account
	made, err := eventbridge.NewFromConfig(cloud.Config).CreateArchive(t.Context(), &eventbridge.CreateArchiveInput{ArchiveName: aws.String("ci"), EventSourceArn: aws.String(at + ":event-bus/ci")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventbus.New(cloud.Config, "ci").Publish(t.Context(), event.Event{ID: "one", Source: event.SourceGitHub, DetailType: "ping", Time: time.Now(), Detail: []byte(`{"zen":"x"}`)}); err != nil {
		t.Fatal(err)
	}
	replays := view.NewReplays(cloud.Config, *made.ArchiveArn, at+":event-bus/ci")
	rules, err := replays.Rules(t.Context())
	if err != nil || len(rules) != 3 { // and not the archive's own
		t.Fatalf("rules %+v, %v: want three", rules, err)
	}
	taken := map[string]string{}
	for _, r := range rules {
		for _, name := range []string{"again", "launch-again"} {
			if takes, err := r.TakesReplay(name); err != nil || takes {
				taken[r.Name] += name + " "
			}
		}
	}
	if diff := cmp.Diff(map[string]string{"all": "again launch-again ", "new": "launch-again "}, taken); diff != "" {
		t.Errorf("rules that take replays (-want +got):\n%s", diff)
	}
	hour := eventlog.Selection{From: time.Now().Add(-time.Hour), To: time.Now()}
	for _, name := range []string{"again", "launch-again"} {
		if err := replays.Start(t.Context(), name, hour, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := replays.Start(t.Context(), "again", hour, rules); err == nil || !strings.Contains(err.Error(), "a replay of that name exists") {
		t.Errorf("a name for the second time: %v", err)
	}
	got := map[string]string{}
	for name, queue := range queues {
		for _, body := range cloud.Received(t, queue) {
			var e event.Event
			if err := e.UnmarshalJSON([]byte(body)); err != nil {
				t.Fatal(err)
			}
			got[name] += "(" + e.ReplayName + ")"
		}
	}
	if diff := cmp.Diff(map[string]string{"all": "(again)(launch-again)", "new": "()(launch-again)", "once": "()"}, got); diff != "" {
		t.Errorf("delivered, by the names of replays (-want +got):\n%s", diff)
	}
	list, err := replays.List(t.Context())
	if err != nil || len(list) != 2 || list[0].State != "completed" || list[0].From.Unix() != hour.From.Unix() || list[0].Ended.IsZero() {
		t.Errorf("replays %+v, %v", list, err)
	}
	for _, name := range []string{"again", "none"} {
		if err := replays.Cancel(t.Context(), name); !errors.Is(err, view.ErrNoReplay) {
			t.Errorf("cancelling %s, which does not run: %v", name, err)
		}
	}
}
