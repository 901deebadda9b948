package rehearsal

import (
	"context"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// A Stage is the forge of a rehearsal: a stand-in on loopback, with a job for a canary.
type Stage interface {
	// Forge returns it as the machine calls it.
	Forge() (forge.Forge, error)

	// Hook has deliveries sent to url, signed with key.
	Hook(ctx context.Context, url string, key secret.Secret) error

	// Sing runs the canary's job, and returns when it is over: an error unless it succeeded.
	Sing(ctx context.Context) error

	// Registered returns how many runners are registered.
	Registered() int

	Close() error
}

// CanaryJob is the job that every stage runs for a canary: the repository it is of, its label and its
// workflow.
const (
	CanaryRepository = "mayfly/canary"
	CanaryLabel      = "canary"
	CanaryWorkflow   = `on: push
jobs:
  canary:
    runs-on: [self-hosted, ` + CanaryLabel + `]
    steps:
      - run: |
          set -eu
          echo "canary in $PWD as $(id -un)"
          echo sings > canary.txt
          test "$(cat canary.txt)" = sings
`
)

// simulated is the stage that is a simulated GitHub.
type simulated struct {
	*githubsim.Sim
	url        string
	token      secret.Secret // for its API, and for pushing to it
	repository string
}

// Forge implements Stage.
func (s *simulated) Forge() (forge.Forge, error) {
	return github.New(github.Config{URL: s.url, Token: s.token})
}

// Hook implements Stage, as mayfly webhook install does it.
func (s *simulated) Hook(ctx context.Context, url string, key secret.Secret) error {
	at, err := s.Forge()
	if err != nil {
		return err
	}
	scope, err := forge.ParseScope(s.repository)
	if err != nil {
		return err
	}
	_, err = pipeline.InstallHook(ctx, at, scope, forge.HookConfig{URL: url, Secret: key, Events: webhook.DefaultEvents()})
	return err
}

// Registered implements Stage.
func (s *simulated) Registered() int { return len(s.Runners()) }

// Sing implements Stage.
func (s *simulated) Sing(ctx context.Context) error {
	changes := s.Subscribe()
	defer changes.Close()
	_, err := s.Push(githubsim.Push{
		Repository: s.repository, Message: "a canary", Files: map[string]string{".github/workflows/canary.yml": CanaryWorkflow},
	})
	if err != nil {
		return err
	}
	for {
		change, ok := changes.Next(ctx)
		switch {
		case !ok:
			return context.Cause(ctx)
		case change.Job == nil || change.Job.Status != githubsim.StatusCompleted:
		case change.Job.Conclusion != "success":
			return fmt.Errorf("the canary job ended with %s: %s", change.Job.Conclusion, LastLine(s.Sim, change.Job.ID))
		default:
			return nil
		}
	}
}
