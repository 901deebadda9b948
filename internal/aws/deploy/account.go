package deploy

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// An Account is an AWS account in one region, with the credentials of a caller.
type Account struct {
	Config aws.Config // for clients
	ID     string     // twelve digits; set by [Account.Identify]
	Caller string     // ARN of the caller; set by [Account.Identify]
}

// Connect finds region and credentials as AWS's own tools do: in the environment, the profile, or the
// machine's role. An empty region means the one found there. It does not call AWS.
func Connect(ctx context.Context, region string) (*Account, error) {
	c, err := config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithLogger(logging.Nop{})) // what matters is in the errors
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of AWS: %w", err)
	}
	if c.Region == "" {
		return nil, &aws.MissingRegionError{}
	}
	return &Account{Config: c}, nil
}

// Identify asks AWS for the account and the caller.
func (a *Account) Identify(ctx context.Context) error {
	out, err := sts.NewFromConfig(a.Config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("asking AWS who this is: %w", err)
	}
	a.ID, a.Caller = aws.ToString(out.Account), aws.ToString(out.Arn)
	return nil
}

// LinkECS creates the role with which ECS acts in the account, unless it exists: a cluster with hosts
// fails without it, and an account that uses ECS for the first time has none. A caller who may not
// create it may not need to; if it is missing, creating the stack fails with that reason.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html
func (a *Account) LinkECS(ctx context.Context) error {
	_, err := iam.NewFromConfig(a.Config).CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String("ecs.amazonaws.com")})
	if err != nil && !refusal.Is(err, "InvalidInput", "InvalidInputException") && !refusal.Denied(err) { // the first: it is there
		return fmt.Errorf("role of ECS in account %s: %w", a.ID, err)
	}
	return nil
}

// Region returns where it is.
func (a *Account) Region() string { return a.Config.Region }

// Suffix returns the domain of hosts in this partition of AWS.
func (a *Account) Suffix() string {
	if a.partition() == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
