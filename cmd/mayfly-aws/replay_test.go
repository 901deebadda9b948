package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/view"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// TestReplayOnAWS asks for replays of a stack's archive, with the stack's own rules. What EventBridge
// would do then is awstest.Replays, which delivers nothing; moto's own replays are in the tests of aws/view.
func TestReplayOnAWS(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	w.cloud.RuleToQueue(t, "ci", "mine", `{"source":["github.com"]}`)
	queued := event.Event{ID: "q", Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Time: time.Now(), Detail: []byte(`{"action":"queued","mayfly":{"pool":"small"}}`)}
	ping, old, replayed := queued, queued, queued
	ping.DetailType, old.Time, replayed.ReplayName = "ping", time.Now().Add(-2*time.Hour), "again"
	var lines []string
	for _, e := range []event.Event{queued, ping, old, replayed} {
		line, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	w.cloud.PutLog(t, "/aws/events/ci", lines...)
	for flags, want := range map[string]map[string]int{
		"":               {"mine": 2},
		"--launch":       {"mine": 2, "jobs": 1},
		"--rule mine":    {"mine": 2},
		"--to " + ago(1): {},
	} {
		args := append(strings.Fields("replay --from 1h --dry-run --json "), strings.Fields(flags)...)
		if p := asJSON[eventlog.Preview](t, w, args...); !cmp.Equal(p.Deliveries, want) || p.Events != want["mine"] {
			t.Errorf("%s: counted %+v, want %v", flags, p, want)
		}
	}
	w.replayErrors(t)
	for _, args := range []string{"--name chat --rule mine", "--launch --name real --rule jobs --rule wanted-small", "--launch"} {
		out, errs, code := w.run(t, nil, append(strings.Fields("replay --from 1h"), strings.Fields(args)...)...)
		if w.must(t, out, errs, code); !strings.Contains(out, " has begun") || !strings.Contains(errs, "may not be in the archive yet") {
			t.Errorf("%s: %s%s", args, out, errs)
		}
	}
	at := "arn:aws:events:" + awstest.Region + ":" + awstest.Account
	if r := w.replays.Asked("chat"); r.EventSourceArn != at+":archive/ci" || !slices.Equal(r.Destination.FilterArns, []string{at + ":rule/ci/mine"}) || r.EventEndTime-r.EventStartTime < 3600 || r.EventEndTime-r.EventStartTime > 7200 {
		t.Errorf("asked for %+v: want an hour of the archive to one rule", r)
	}
	if r := w.replays.Asked("launch-real"); !slices.Equal(r.Destination.FilterArns, []string{at + ":rule/ci/jobs", at + ":rule/ci/wanted-small"}) {
		t.Errorf("asked for %+v: want two rules", r)
	}
	w.replays.Complete("chat")
	out, errs, code = w.run(t, nil, "replay", "cancel", "launch-real")
	w.must(t, out, errs, code)
	if _, errs, code := w.run(t, nil, "replay", "cancel", "chat"); code != 1 || !strings.Contains(errs, "no replay of that name runs\nhint: mayfly replay list") {
		t.Errorf("cancelling what is over: exit code %d, %s", code, errs)
	}
	var states []string
	for _, r := range asJSON[[]view.Replay](t, w, "replay", "list", "--json") {
		name, _, _ := strings.Cut(r.Name, "-")
		states = append(states, name+" "+r.State)
	}
	slices.Sort(states)
	if want := []string{"chat completed", "launch cancelled", "launch running"}; !slices.Equal(states, want) {
		t.Errorf("replays %q, want %q", states, want)
	}
	api := eventbridge.NewFromConfig(w.cloud.Config)
	for _, rule := range []string{"jobs", "effects", "queued-small", "wanted-small", "queued-own", "wanted-own"} { // as they were
		if _, err := api.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &rule, EventBusName: aws.String("ci"), EventPattern: aws.String(`{"replay-name":[{"exists":false}]}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, errs, code := w.run(t, nil, "replay", "--from", "1h", "--launch"); code != 1 || !strings.Contains(errs, "hint: mayfly deploy brings it up to date") {
		t.Errorf("--launch with an older stack: exit code %d, %s", code, errs)
	}
	if out, errs, code := w.run(t, nil, "replay", "list"); code != 0 || !strings.Contains(out, "completed") {
		t.Errorf("replay list: exit code %d, %s%s", code, out, errs)
	}
}

func ago(hours int) string {
	return time.Now().Add(-time.Duration(hours) * time.Hour).Add(time.Minute).Format(time.RFC3339)
}

// replayErrors asks for replays that there cannot be.
func (w *cloudWorld) replayErrors(t *testing.T) {
	t.Helper()
	file := w.dir + "/pattern.json"
	w.write(t, file, `{"source":["github.com"]}`)
	for args, want := range map[string]string{
		"--rule none":                `rule "none": want one of the stack's bus: `,
		"--rule jobs":                `rule "jobs" leaves replayed events alone` + "\nhint: --launch gives them",
		"--rule events":              `rule "events" leaves replayed events alone, those of --launch, too`,
		"--launch --rule quarantine": `rule "quarantine" leaves replayed events alone, those of --launch, too`,
		"--name launch-x":            `name "launch-x": what begins with launch- starts runners` + "\nhint: --launch gives",
		"--name ../x":                "want letters, digits",
		"--pattern " + file:          "--pattern: EventBridge replays all events of a time\nhint: --rule",
		"--to " + ago(3):             "want a time after --from",
	} {
		if _, errs, code := w.run(t, nil, append(strings.Fields("replay --from 1h"), strings.Fields(args)...)...); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, want 2 and %q\n%s", args, code, want, errs)
		}
	}
	if len(w.replays.Asked("launch-x").ReplayName) > 0 {
		t.Error("a replay that was refused has begun")
	}
}
