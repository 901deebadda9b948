package handler_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// run starts tasks of a family, as a rule does, and returns their ids.
func (s *stage) run(family string, n int32, env map[string]string) (ids []string) {
	s.Helper()
	var list []types.KeyValuePair
	for name, value := range env {
		list = append(list, types.KeyValuePair{Name: &name, Value: &value})
	}
	out, err := ecs.NewFromConfig(s.cloud.Config).RunTask(s.Context(), &ecs.RunTaskInput{
		Cluster: aws.String("ci"), TaskDefinition: &family, Count: &n, LaunchType: types.LaunchTypeFargate, // moto has no host
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{Name: aws.String("runner"), Environment: list}}},
	})
	s.must(err)
	for _, task := range out.Tasks {
		ids = append(ids, (*task.TaskArn)[strings.LastIndex(*task.TaskArn, "/")+1:])
	}
	return ids
}

// stopped reports whether a task was told to stop.
func (s *stage) stopped(id string) bool {
	s.Helper()
	out, err := ecs.NewFromConfig(s.cloud.Config).DescribeTasks(s.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("ci"), Tasks: []string{id}})
	s.must(err)
	return *out.Tasks[0].DesiredStatus == "STOPPED"
}

func (s *stage) apply(in ledger.Input) ledger.Result {
	s.Helper()
	result, err := s.store.Apply(s.Context(), in)
	s.must(err)
	return result
}

// queued has a job queued, and returns its first runner.
func (s *stage) queued(id int64) ledger.RunnerName {
	s.Helper()
	s.must(s.told(s.aboutJob(id, "queued")))
	s.wanted() // which starts it
	return s.first(id)
}

// minuteLater lets time pass and the sweep come, at a minute at which it does not ask GitHub.
func (s *stage) minuteLater() {
	s.Helper()
	s.now = s.now.Add(time.Minute)
	e := s.minute()
	e.Time = time.Date(2026, 1, 31, 12, 1, 0, 0, time.UTC)
	s.must(s.sweep.Handle(s.Context(), e))
}

// asks has the sweep carry out the effects that were sent, as the rule of the bus does.
func (s *stage) asks() {
	s.Helper()
	effects := s.effects
	s.effects = nil
	for _, effect := range effects {
		e, err := pipeline.EventOf(effect, s.now)
		s.must(err)
		e.ID = "e"
		if _, wanted := effect.(ledger.WantRunner); !wanted {
			s.must(s.sweep.Handle(s.Context(), e))
		}
	}
}

// TestRunnerUnwanted: a task that has claimed is stopped, and one that is gone already is
// no fault.
func TestRunnerUnwanted(t *testing.T) {
	for _, gone := range []bool{false, true} {
		s := newStage(t)
		name := s.queued(1)
		task := s.run("ci-small", 1, env(name))[0]
		container := task
		if gone {
			container = "0123456789abcdef0123456789abcdef"
		}
		s.apply(ledger.Claim{Runner: name, Container: container})
		s.must(s.told(s.aboutJob(1, "completed")))
		s.asks()
		if r := s.runner(name); r.State != ledger.RunnerGone || s.stopped(task) == gone {
			t.Errorf("gone before: %t: runner is %s, its task stopped %t", gone, r.State, s.stopped(task))
		}
		s.effects = []ledger.Effect{ledger.RemoveRunner{Runner: "nobody"}}
		s.asks()
		s.needs("sweep", contract.HandlerSweep)
	}
}

func TestJobUncertain(t *testing.T) {
	s := newStage(t)
	s.queued(1)
	key := ledger.NewJobKey("acme/web", 1, 1)
	s.effects = []ledger.Effect{ledger.CheckJob{Job: key, Scope: ledger.Scope{Repository: "acme/web"}}}
	s.asks()
	jobs, err := s.store.Jobs(t.Context(), ledger.JobQuery{Key: key})
	s.must(err)
	if jobs[0].Conclusion != ledger.ConclusionLost {
		t.Errorf("job is %s %s: want lost, since GitHub does not know it", jobs[0].State, jobs[0].Conclusion)
	}
}

// A sent letter is a message in the queue of dead letters.
func (s *stage) letter(e event.Event, attributes ...string) {
	s.Helper()
	body, err := json.Marshal(e)
	s.must(err)
	s.message(string(body), attributes...)
}

func (s *stage) message(body string, attributes ...string) {
	s.Helper()
	in := &sqs.SendMessageInput{QueueUrl: &s.queue, MessageBody: &body, MessageAttributes: map[string]sqstypes.MessageAttributeValue{}}
	for i := 0; i < len(attributes); i += 2 {
		in.MessageAttributes[attributes[i]] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &attributes[i+1]}
	}
	_, err := sqs.NewFromConfig(s.cloud.Config).SendMessage(s.Context(), in)
	s.must(err)
}

// left is how many letters are in the queue, seen or not.
func (s *stage) left() string {
	s.Helper()
	out, err := sqs.NewFromConfig(s.cloud.Config).GetQueueAttributes(s.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &s.queue, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	s.must(err)
	return out.Attributes["ApproximateNumberOfMessages"] + "+" + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

var notPlaced = []string{"TARGET_ARN", "arn:aws:ecs:eu-west-1:123456789012:cluster/ci", "ERROR_CODE", "ECS.RESOURCE", "ERROR_MESSAGE", "provisioning limit"}

// wants is the event that asks for a runner.
func (s *stage) wants(name ledger.RunnerName) event.Event {
	s.Helper()
	e, err := pipeline.EventOf(ledger.WantRunner{Runner: name, Job: ledger.NewJobKey("acme/web", 1, 1)}, s.now)
	s.must(err)
	e.ID = "e"
	return e
}

// TestTaskNotStarted: what ECS would not start is wanted anew, later each time. One that the ledger
// does not know needs nothing.
func TestTaskNotStarted(t *testing.T) {
	s := newStage(t)
	name := s.queued(1)
	s.letter(s.wants(name), notPlaced...)
	s.minuteLater()
	if r := s.runner(name); r.State != ledger.RunnerGone || r.Reason != "not started: ECS.RESOURCE: provisioning limit" {
		t.Errorf("runner is %s: %s", r.State, r.Reason)
	}
	s.minuteLater()
	second := s.wanted()
	if len(second) != 1 {
		t.Fatalf("wanted: %v: want one more", second)
	}
	s.letter(s.wants(second[0]), notPlaced...)
	s.letter(s.wants("nobody"), notPlaced...)
	s.minuteLater()
	s.minuteLater()
	s.minuteLater() // the second time without a place is two minutes
	if third := s.wanted(); len(third) != 1 || third[0] == second[0] {
		t.Errorf("wanted: %v after %v: want another", third, second)
	}
	if got := s.left(); got != "0+0" {
		t.Errorf("letters left: %s: want none", got)
	}
	s.needs("sweep", contract.HandlerSweep)
}

// TestTaskStartedAllTheSame: one try was answered late, another was not. The task that
// there is stays.
func TestTaskStartedAllTheSame(t *testing.T) {
	s := newStage(t)
	name := s.queued(1)
	s.apply(ledger.Claim{Runner: name, Container: s.run("ci-small", 1, env(name))[0]})
	s.letter(s.wants(name), notPlaced...)
	s.minuteLater()
	if r := s.runner(name); r.State != ledger.RunnerClaimed || s.left() != "0+0" {
		t.Errorf("runner is %s, letters left: %s: want claimed, and none", r.State, s.left())
	}
}

// TestLettersOfFunctions: what the ledger function gave up, the sweep does.
func TestLettersOfFunctions(t *testing.T) {
	s := newStage(t)
	s.letter(s.aboutJob(1, "queued"), "ErrorCode", "200", "ErrorMessage", "others wrote first, 40 times")
	s.minuteLater()
	name := s.first(1)
	s.letter(s.aboutTask("a", "STOPPED", "ci-small", env(name), ""))
	news := []string{contract.TypeVersionRefused, contract.TypeStartFailed}
	for _, kind := range news {
		s.letter(event.Event{ID: "e", Source: event.SourceMayfly, DetailType: kind, Time: s.now, Detail: []byte(`{}`)})
	}
	s.letter(s.minute())
	for _, kind := range []string{contract.TypeRunwayUncertain, contract.TypeRunwayKnown} { // the next hour asks
		s.letter(event.Event{ID: "e", Source: event.SourceMayfly, DetailType: kind, Time: s.now, Detail: []byte(`{}`)})
	}
	s.minuteLater()
	if r := s.runner(name); r.State != ledger.RunnerGone {
		t.Errorf("runner is %s: want gone", r.State)
	}
	var again []string
	for _, e := range s.published {
		again = append(again, e.DetailType)
	}
	slices.Sort(again)
	if slices.Sort(news); !slices.Equal(again, news) {
		t.Errorf("published: %v: want the events again: %v", again, news)
	}
	if got := s.left(); got != "0+0" {
		t.Errorf("letters left: %s: want none", got)
	}
}

// TestLettersThatStay: what nobody can read, and what has failed for too long, is kept.
func TestLettersThatStay(t *testing.T) {
	s := newStage(t)
	s.message("no event")
	build := s.minute()
	build.DetailType = "CodeBuild Build State Change"
	s.letter(build)
	s.letter(s.wants(s.queued(1)), notPlaced...)
	client := sqs.NewFromConfig(s.cloud.Config)
	for range 10 {
		_, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &s.queue, MaxNumberOfMessages: 10})
		s.must(err)
	}
	s.minuteLater()
	if got := s.left(); got != "0+3" {
		t.Errorf("letters left: %s: want all, and held back for a while", got)
	}
}

// TestStrays holds tasks against runners.
func TestStrays(t *testing.T) {
	s := newStage(t)
	over := s.queued(4)
	s.must(s.told(s.aboutJob(4, "completed")))
	waits, claimed := s.queued(1), s.queued(2)
	task := map[string]string{
		"of a runner that waits for its claim": s.run("ci-small", 1, env(waits))[0],
		"of a doubled event, before the claim": s.run("ci-small", 1, env(waits))[0],
		"that has claimed":                     s.run("ci-small", 1, env(claimed))[0],
		"too late for the claim":               s.run("ci-small", 1, env(claimed))[0],
		"of a job that is over":                s.run("ci-small", 1, env(over))[0],
		"of a runner that nobody knows":        s.run("ci-small", 1, env("old"))[0],
		"of a runner of another stack":         s.run("ci-small", 1, nil)[0],
		"of somebody else":                     s.run("another", 1, nil)[0],
	}
	s.apply(ledger.Claim{Runner: claimed, Container: task["that has claimed"]})
	s.apply(ledger.Registered{Runner: claimed, GitHubID: 7})
	s.apply(ledger.Idle{Runner: claimed})
	s.minuteLater()
	var got []string
	for what, id := range task {
		if s.stopped(id) {
			got = append(got, what)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"of a job that is over", "of a runner that nobody knows", "too late for the claim"}, got); diff != "" {
		t.Errorf("stopped (-want +got):\n%s", diff)
	}
	for _, name := range []ledger.RunnerName{waits, claimed} {
		if r := s.runner(name); !r.Live() {
			t.Errorf("runner %s is gone: %s", name, r.Reason)
		}
	}
}

// TestStraysBeyondOnePage: a list is read to its end.
func TestStraysBeyondOnePage(t *testing.T) {
	s := newStage(t)
	name := s.queued(1)
	s.must(s.told(s.aboutJob(1, "completed")))
	var ids []string
	for range 11 {
		ids = append(ids, s.run("ci-small", 10, env(name))...)
	}
	s.minuteLater()
	for _, id := range ids {
		if !s.stopped(id) {
			t.Fatalf("of %d tasks, %s was not stopped", len(ids), id)
		}
	}
}

// TestLostTasks: a runner whose task is gone, and nobody said so, is gone too, but not as
// long as one side may just not have heard.
func TestLostTasks(t *testing.T) {
	s := newStage(t)
	claimed, starting := s.queued(1), s.queued(2)
	s.apply(ledger.Claim{Runner: claimed, Container: "0123456789abcdef0123456789abcdef"})
	s.apply(ledger.Registered{Runner: claimed, GitHubID: 7})
	s.apply(ledger.Starting{Runner: starting})
	s.minuteLater()
	for _, name := range []ledger.RunnerName{claimed, starting} {
		if r := s.runner(name); !r.Live() {
			t.Errorf("runner %s is gone after a minute: %s", name, r.Reason)
		}
	}
	s.now = s.now.Add(30 * time.Second)
	s.minuteLater()
	for _, name := range []ledger.RunnerName{claimed, starting} {
		if r := s.runner(name); r.Live() || !strings.Contains(r.Reason, "its task is gone") {
			t.Errorf("runner %s is %s: %s", name, r.State, r.Reason)
		}
	}
}

// TestJobsThatGitHubHas: every five minutes, the jobs whose events were lost are found.
func TestJobsThatGitHubHas(t *testing.T) {
	s := newStage(t)
	s.queued(1)
	_, err := s.sim.Push(githubsim.Push{Repository: "acme/web", Files: map[string]string{
		".github/workflows/one.yml": "on: push\njobs:\n  one:\n    runs-on: linux\n    steps:\n      - run: 'true'\n",
	}})
	s.must(err)
	e := s.minute()
	e.Time = time.Date(2026, 1, 31, 12, 5, 0, 0, time.UTC)
	s.must(s.sweep.Handle(t.Context(), e))
	want := s.first(s.sim.Jobs()[0].ID)
	if got := s.wanted(); len(got) != 1 || got[0] != want {
		t.Errorf("wanted: %v: want %s", got, want)
	}
	e.DetailType = "Another"
	if err := s.sweep.Handle(t.Context(), e); err == nil {
		t.Error("an event of another type: want an error")
	}
}
