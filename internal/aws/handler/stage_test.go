package handler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/handler"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A stage is the ledger and the sweep function over moto and githubsim, with one ledger
// in DynamoDB, through a client of its own for each function, whose calls are recorded.
type stage struct {
	*testing.T
	cloud     *awstest.Cloud
	sim       *githubsim.Sim
	now       time.Time
	store     *dynamo.Ledger // the sweep's
	ledger    *handler.Ledger
	sweep     *handler.Sweep
	queue     string        // URL
	published []event.Event // by any of both
	effects   []ledger.Effect
	calls     map[string]*awstest.Recorder // by function
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, cloud: awstest.Start(t), now: time.Now(), calls: map[string]*awstest.Recorder{contract.HandlerLedger: {}, contract.HandlerSweep: {}}}
	for name, r := range s.calls {
		t.Cleanup(func() { note(name, r.Actions()) })
	}
	s.makeCloud()
	forge := s.openGitHub()
	limits := ledger.Limits{Pools: pool.Set{pool.Pool{Name: "small", Labels: []string{"linux"}, Max: 2}.WithDefaults()}, Launch: time.Hour, Claimed: time.Hour}
	open := func(function string) (pipeline.Config, *handler.Tasks, aws.Config, *dynamo.Ledger) {
		config := s.calls[function].Watch(s.cloud.Config)
		store := dynamo.New(dynamodb.NewFromConfig(config), dynamo.Config{
			Table: "ledger", Limits: limits, Log: slog.New(slog.DiscardHandler), Now: s.clock,
			Emit: func(_ context.Context, effects []ledger.Effect) error {
				s.effects = append(s.effects, effects...)
				return nil
			},
		})
		joined := pipeline.Config{Ledger: store, Forge: forge, Limits: func() ledger.Limits { return limits }, Log: slog.New(slog.DiscardHandler)}
		return joined, handler.NewTasks(ecs.NewFromConfig(config), "ci", "ci"), config, store
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	joined, tasks, _, _ := open("ledger")
	joined.Forge = nil // GitHub is not the ledger function's business
	s.ledger = &handler.Ledger{Pipeline: pipeline.New(joined), Tasks: tasks, Publish: s.publish, Now: s.clock, Log: log}
	joined, tasks, config, store := open("sweep")
	joined.Vanish, joined.Memo = handler.Vanish(store, tasks), store.Memo()
	s.store = store
	s.sweep = &handler.Sweep{
		Pipeline: pipeline.New(joined), Flush: store.Flush, Tasks: tasks, Publish: s.publish, Now: s.clock, Log: log,
		Letters: &handler.Letters{Client: sqs.NewFromConfig(config), Queue: s.queue},
	}
	return s
}

func (s *stage) clock() time.Time { return s.now }

// told gives the ledger function one event.
func (s *stage) told(e event.Event) error {
	return s.ledger.Handle(s.Context(), []event.Event{e})[0]
}

func (s *stage) publish(_ context.Context, events ...event.Event) error {
	s.published = append(s.published, events...)
	return nil
}

// makeCloud makes what the stack makes: table, cluster, task definition, queue.
func (s *stage) makeCloud() {
	s.Helper()
	ctx := s.Context()
	_, err := dynamodb.NewFromConfig(s.cloud.Config).CreateTable(ctx, awstest.LedgerTable("ledger"))
	s.must(err)
	client := ecs.NewFromConfig(s.cloud.Config)
	_, err = client.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("ci")})
	s.must(err)
	for _, family := range []string{"ci-small", "another"} {
		_, err = client.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
			Family: &family, ContainerDefinitions: []types.ContainerDefinition{{Name: aws.String("runner"), Image: aws.String("x"), Memory: aws.Int32(128)}},
		})
		s.must(err)
	}
	out, err := sqs.NewFromConfig(s.cloud.Config).CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: aws.String("letters"), Attributes: map[string]string{"VisibilityTimeout": "0"}, // so that the sweep has to say otherwise
	})
	s.must(err)
	s.queue = *out.QueueUrl
}

func (s *stage) openGitHub() *github.Client {
	s.Helper()
	token := secret.New("a token")
	sim, err := githubsim.New(githubsim.Config{Log: slog.New(slog.DiscardHandler), Now: time.Now, Dir: s.TempDir(), Tokens: []secret.Secret{token}})
	s.must(err)
	hub := httptest.NewServer(sim)
	s.Cleanup(func() {
		hub.Close()
		s.must(sim.Close())
	})
	s.must(sim.CreateRepository(githubsim.Repository{Name: "acme/web"}))
	s.sim = sim
	forge, err := github.New(github.Config{URL: hub.URL, Token: token, Backoff: time.Millisecond})
	s.must(err)
	return forge
}

func (s *stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// aboutJob is the event of a delivery, as the webhook function makes it.
func (s *stage) aboutJob(id int64, action string) event.Event {
	return event.Event{
		ID: "e", Source: event.SourceGitHub, DetailType: event.TypeWorkflowJob, Time: s.now,
		Detail: fmt.Appendf(nil, `{"action":%q,"workflow_job":{"id":%d,"run_attempt":1,"labels":["linux"]},"repository":{"full_name":"acme/web"},"mayfly":{"pool":"small"}}`, action, id),
	}
}

// aboutTask is the event of a task that was started for a job. More is of its detail.
func (s *stage) aboutTask(task, status, family string, env map[string]string, more string) event.Event {
	s.Helper()
	var list []map[string]string
	for name, value := range env {
		list = append(list, map[string]string{"name": name, "value": value})
	}
	overrides, err := json.Marshal(map[string]any{"containerOverrides": []any{map[string]any{"name": "runner", "environment": list}}})
	s.must(err)
	return event.Event{ID: "e", Source: "aws.ecs", DetailType: "ECS Task State Change", Time: s.now, Detail: fmt.Appendf(nil,
		`{"taskArn":"arn:aws:ecs:eu-west-1:123456789012:task/ci/%s","taskDefinitionArn":"arn:aws:ecs:eu-west-1:123456789012:task-definition/%s:3",`+
			`"lastStatus":%q,"overrides":%s,"createdAt":"2026-01-31T12:00:00.123Z","version":4%s}`, task, family, status, overrides, more)}
}

// runner returns a runner as the ledger has it.
func (s *stage) runner(name ledger.RunnerName) ledger.Runner {
	s.Helper()
	list, err := s.store.Runners(s.Context(), ledger.RunnerQuery{Name: name})
	s.must(err)
	return list[0]
}

// first returns the first runner of a job.
func (s *stage) first(id int64) ledger.RunnerName {
	s.Helper()
	list, err := s.store.Runners(s.Context(), ledger.RunnerQuery{Job: ledger.NewJobKey("acme/web", id, 1)})
	s.must(err)
	if len(list) == 0 {
		s.Fatalf("job %d has no runner", id)
	}
	return list[len(list)-1].Name
}

// wanted returns the runners that were asked for by events, and forgets them.
func (s *stage) wanted() (names []ledger.RunnerName) {
	for _, e := range s.effects {
		if want, ok := e.(ledger.WantRunner); ok {
			names = append(names, want.Runner)
		}
	}
	s.effects = nil
	return names
}
