package view_test

import (
	"fmt"
	"net/http"
	"slices"
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
	"github.com/mayfly-ci/mayfly/internal/aws/view"
	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/event/schema"
)

func envelope(t *testing.T, id, source, detailType string) string {
	t.Helper()
	text, err := event.Event{ID: id, Source: source, DetailType: detailType, Time: time.Now(), Detail: []byte(`{"n":"` + id + `"}`)}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func ids(list []bus.Stored) (ids []string) {
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
		filter bus.Filter
		want   []string
	}{
		"all":     {bus.Filter{}, []string{"job", "run", "old"}},
		"limit":   {bus.Filter{Limit: 1}, []string{"job"}},
		"since":   {bus.Filter{Since: now.Add(-10 * time.Minute)}, []string{"job"}},
		"type":    {bus.Filter{DetailType: "workflow_job", Since: now.Add(-time.Hour)}, []string{"job"}},
		"source":  {bus.Filter{Source: "mayfly"}, nil},
		"pattern": {bus.Filter{Pattern: only}, []string{"run"}},
	} {
		list, err := events.Events(t.Context(), c.filter)
		if err != nil || !slices.Equal(ids(list), c.want) {
			t.Errorf("%s: %q, %v: want %q", name, ids(list), err, c.want)
		}
	}
	list, err := events.Events(t.Context(), bus.Filter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	after := slices.MaxFunc(list, func(a, b bus.Stored) int { return int(a.Seq - b.Seq) }).Seq
	write(0, envelope(t, "new", "github.com", "workflow_job"))
	if list, err = events.Events(t.Context(), bus.Filter{After: max(after, 3)}); err != nil || !slices.Equal(ids(list), []string{"new"}) {
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
	letters := view.NewLetters(cloud.Config, *made.QueueUrl, "ci")
	list := func(f bus.LetterFilter) (lines []string) {
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
		if diff := cmp.Diff(want, list(bus.LetterFilter{})); diff != "" {
			t.Errorf("letters (-want +got):\n%s", diff)
		}
	}
	if n, err := letters.Retry(t.Context(), bus.LetterFilter{}); err != nil || n != 1 {
		t.Errorf("retried %d, %v: want the one that may be put on the bus", n, err)
	}
	if got := list(bus.LetterFilter{}); !slices.Equal(got, want[1:]) {
		t.Errorf("left %q", got)
	}
	if n, err := letters.Drop(t.Context(), bus.LetterFilter{Rule: "function"}); err != nil || n != 1 || len(list(bus.LetterFilter{})) != 0 {
		t.Errorf("dropped %d, %v", n, err)
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
