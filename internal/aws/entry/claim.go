package entry

import (
	"context"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/eventbus"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/aws/handler"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// openClaims opens the claim function: a task's identity becomes a JIT configuration.
func openClaims(ctx context.Context, p *environment) (any, error) {
	config, err := p.pipeline(ctx, p.ledger())
	if err != nil {
		return nil, err
	}
	return function.Serve(&handler.Claims{
		Pipeline: pipeline.New(config),
		Tasks:    p.tasks(),
		CA:       p.Settings.GitHub.CA,
		Roles:    strings.Split(p.Getenv(contract.EnvTaskRoles), ","),
		Publish:  eventbus.New(p.AWS, p.Getenv(contract.EnvBus)).Put, Now: time.Now, Log: p.Log,
	}), nil
}
