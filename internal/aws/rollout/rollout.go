// Package rollout creates a stack ([Deployment]) and removes it ([Destruction]) with the calls of
// aws/deploy and aws/build. Each step looks at what exists and does what is missing, so that both
// can be repeated after an interruption at any point. It prints nothing: steps report through a
// func([Progress]).
package rollout

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/catalog"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Progress is a report of a step: a line of text, or what AWS does with a resource of the
// stack. Text from outside is not escaped.
type Progress struct {
	Text     string
	Resource deploy.Progress // zero for a line of text
}

// An Access is what a deploy needs beyond AWS itself: the secrets that go into the stack,
// and GitHub.
type Access struct {
	Secrets config.Secrets
	CA      []byte // certificates of GitHub's CA, in addition to the system's
	Forge   *github.Client
}

// A Site is the stack that a configuration describes, and the account that it is in.
type Site struct {
	*config.Config
	Account *deploy.Account
	Stack   *deploy.Stack
	Tell    func(Progress) // must be set before a step is taken
}

// Open finds out the account and region of the stack. It does not call AWS yet.
func Open(ctx context.Context, c *config.Config) (*Site, error) {
	account, err := deploy.Connect(ctx, c.AWS.Region)
	if err != nil {
		return nil, err
	}
	s := &Site{Config: c, Account: account, Stack: deploy.NewStack(account.Config, c.AWS.Stack), Tell: func(Progress) {}}
	s.Stack.Tell = func(p deploy.Progress) { s.Tell(Progress{Resource: p}) }
	return s, nil
}

func (s *Site) note(format string, args ...any) { s.Tell(Progress{Text: fmt.Sprintf(format, args...)}) }

// Running returns the state of the stack, or an error if it does not exist.
func (s *Site) Running(ctx context.Context) (deploy.State, error) {
	state, err := s.Stack.State(ctx)
	if err == nil && !state.Exists() {
		err = cli.Hint(fmt.Errorf("stack %s: not found in %s", s.Stack.Name, s.Account.Region()),
			"mayfly deploy creates it; aws.stack and aws.region choose the stack")
	}
	return state, err
}

// Limits returns the limits that the stack's ledger applies.
func (s *Site) Limits() ledger.Limits {
	return contract.Limits(s.PoolSet(), s.GitHub.RunnersAt, s.StackHosts())
}

// Catalog returns the image catalog of the stack for one architecture.
func (s *Site) Catalog(state deploy.State, architecture string) *catalog.Catalog {
	return catalog.New(s.Account.Config, catalog.Config{Table: state.Outputs["TableName"], Architecture: architecture})
}

// Architecture returns wanted, or else the architecture of the first pool whose image the
// stack builds.
func (s *Site) Architecture(wanted string) string {
	if wanted != "" {
		return wanted
	}
	for _, p := range s.Pools {
		if p.Image == "" {
			return p.AWS.Architecture
		}
	}
	return config.AMD64
}

// Images returns the images in the stack's repository.
func (s *Site) Images(state deploy.State) *build.Images {
	return build.NewImages(s.Account.Config, state.Outputs["RepositoryName"])
}

// Tasks returns the task definitions that launch images.
func (s *Site) Tasks() *build.Tasks {
	uri := fmt.Sprintf("%s.dkr.ecr.%s.%s/%s-runner", s.Account.ID, s.Account.Region(), s.Account.Suffix(), s.Stack.Name)
	return build.NewTasks(s.Account.Config, s.Stack.Name, uri)
}

// bucket returns the bucket of the stack's artifacts.
func (s *Site) bucket() *deploy.Bucket {
	return deploy.NewBucket(s.Account.Config, s.Account.ID, s.Stack.Name)
}

// configured returns the template's parameters that the configuration sets.
func (s *Site) configured() map[string]string {
	return map[string]string{
		"VpcId": s.AWS.VPC, "SubnetIds": strings.Join(s.AWS.Subnets, ","),
		"RetentionDays": strconv.Itoa(s.AWS.RetentionDays), "AlarmEmail": s.AWS.Email,
	}
}
