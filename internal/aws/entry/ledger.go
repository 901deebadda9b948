package entry

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/aws/handler"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// openLedger opens the ledger function: events of jobs and of tasks → ledger.
func openLedger(_ context.Context, p *environment) (any, error) {
	l := &handler.Ledger{
		Pipeline: pipeline.New(pipeline.Config{Ledger: p.ledger(), Limits: p.limits, Log: p.Log}),
		Tasks:    p.tasks(), Publish: eventbus.New(p.AWS, p.Getenv(contract.EnvBus)).Put, Now: time.Now, Log: p.Log,
	}
	return function.Events(l.Handle, p.Log), nil
}

// openSweep opens the sweep function: what the ledger asks for, and every minute what was
// missed.
func openSweep(ctx context.Context, p *environment) (any, error) {
	store, tasks := p.ledger(), p.tasks()
	config, err := p.pipeline(ctx, store)
	if err != nil {
		return nil, err
	}
	config.Vanish, config.Memo = handler.Vanish(store, tasks), store.Memo()
	s := &handler.Sweep{
		Pipeline: pipeline.New(config), Flush: store.Flush, Tasks: tasks,
		Letters: &handler.Letters{Client: sqs.NewFromConfig(p.AWS), Queue: p.Getenv(contract.EnvDeadLetters)},
		Publish: eventbus.New(p.AWS, p.Getenv(contract.EnvBus)).Put, Now: time.Now, Log: p.Log,
		Measure: p.metrics,
	}
	return function.Events(s.HandleAll, p.Log), nil
}

// tasks opens the tasks of the stack's cluster.
func (p *environment) tasks() *handler.Tasks {
	return handler.NewTasks(ecs.NewFromConfig(p.AWS), p.Getenv(contract.EnvCluster), p.Getenv(contract.EnvStack))
}
