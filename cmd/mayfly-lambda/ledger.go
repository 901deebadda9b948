package main

import (
	"context"
	"os"
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
		Pipeline: pipeline.New(pipeline.Config{Ledger: p.ledger(handler.StartedByRule), Limits: p.limits, Log: p.log}),
		Tasks:    p.tasks(), Publish: eventbus.New(p.aws, p.getenv(contract.EnvBus)).Put, Now: time.Now, Log: p.log,
	}
	return l.Handle, nil
}

// openSweep opens the sweep function: what the ledger asks for, and every minute what was
// missed.
func openSweep(ctx context.Context, p *environment) (any, error) {
	store, tasks := p.ledger(nil), p.tasks()
	config, err := p.pipeline(ctx, store)
	if err != nil {
		return nil, err
	}
	config.Vanish = handler.Vanish(store, tasks)
	s := &handler.Sweep{
		Pipeline: pipeline.New(config), Flush: store.Flush, Tasks: tasks,
		Letters: &handler.Letters{Client: sqs.NewFromConfig(p.aws), Queue: p.getenv(contract.EnvDeadLetters)},
		Publish: eventbus.New(p.aws, p.getenv(contract.EnvBus)).Put, Now: time.Now, Log: p.log,
		Measure: func(values map[string]float64) error {
			return function.WriteMetrics(os.Stdout, p.getenv(contract.EnvStack), time.Now(), values)
		},
	}
	return s.Handle, nil
}

// tasks opens the tasks of the stack's cluster.
func (p *environment) tasks() *handler.Tasks {
	return handler.NewTasks(ecs.NewFromConfig(p.aws), p.getenv(contract.EnvCluster), p.getenv(contract.EnvStack))
}
