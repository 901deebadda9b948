package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"golang.org/x/sync/errgroup"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// Preflight finds, before anything is made, what would stop a deploy halfway: who acts,
// whether each service is there and answers, whether the stack can be deployed to, whether
// its names are free and its network is there, and which permissions are missing. It changes
// nothing.
func Preflight(ctx context.Context, a *Account, s *Stack, n Network) (State, error) {
	if err := a.Identify(ctx); err != nil {
		return State{}, err
	}
	state, err := s.State(ctx)
	if err == nil {
		err = s.Usable(state)
	}
	if err != nil {
		return state, err
	}
	found, err := a.Find(ctx, s.Name) // asks every service once
	if err != nil {
		return state, err
	}
	if err := free(s.Name, state, found); err != nil {
		return state, err
	}
	if err := n.Check(ctx, a.Config); err != nil {
		return state, err
	}
	missing, err := a.missing(ctx, s.Name)
	if err == nil && len(missing) > 0 {
		err = refusal.New(&Missing{a.Caller, missing}, "allow these, as in docs/aws-deploy-policy.json; nothing was made. "+
			"IAM's simulation does not see every policy: if you know better, --ignore-permissions goes on")
	}
	return state, err
}

// Missing says which permissions the caller lacks, as IAM simulates them. All else that the
// preflight looks at is in order.
type Missing struct {
	Caller  string
	Actions []string
}

func (m *Missing) Error() string { return m.Caller + " may not: " + strings.Join(m.Actions, ", ") }

// free says which names a stack that is not there would find taken.
func free(name string, state State, found []Thing) error {
	if state.Exists() {
		return nil
	}
	var taken []string
	for _, t := range found {
		if t.Kind != "bucket" && t.Kind != "stack" && !(t.Kind == "log group" && !strings.HasPrefix(t.Name, "/aws/events/")) {
			taken = append(taken, t.String())
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return refusal.New(fmt.Errorf("stack %s is not there, and yet: %s", name, strings.Join(taken, ", ")),
		"mayfly destroy removes what an earlier stack has left or kept; or choose another name with aws.stack")
}

// Permissions are the actions that deploy and destroy take, by service as IAM calls it. CloudFormation
// acts as whoever deploys.
func Permissions() []string {
	return strings.Fields(`
		autoscaling:CreateAutoScalingGroup autoscaling:DeleteAutoScalingGroup autoscaling:DeleteScheduledAction autoscaling:DeleteWarmPool autoscaling:DescribeAutoScalingGroups autoscaling:DescribeScalingActivities autoscaling:PutScheduledUpdateGroupAction autoscaling:PutWarmPool autoscaling:SetInstanceProtection autoscaling:UpdateAutoScalingGroup
		cloudformation:CreateChangeSet cloudformation:DeleteChangeSet cloudformation:DeleteStack cloudformation:DescribeChangeSet cloudformation:DescribeStackEvents cloudformation:DescribeStacks cloudformation:DescribeType cloudformation:ExecuteChangeSet cloudformation:ListChangeSets cloudformation:ListStackResources cloudformation:ListStacks
		cloudwatch:DeleteAlarms cloudwatch:DeleteDashboards cloudwatch:DescribeAlarms cloudwatch:PutDashboard cloudwatch:PutMetricAlarm
		codebuild:BatchGetBuilds codebuild:BatchGetProjects codebuild:CreateProject codebuild:DeleteProject codebuild:ListBuildsForProject codebuild:StartBuild codebuild:StopBuild codebuild:UpdateProject
		codecommit:CreateCommit codecommit:CreateRepository codecommit:DeleteRepository codecommit:GetBranch codecommit:GetCommit codecommit:GetFolder codecommit:GetRepository
		dynamodb:BatchGetItem dynamodb:CreateTable dynamodb:DeleteTable dynamodb:DescribeTable dynamodb:GetItem dynamodb:PutItem dynamodb:Query dynamodb:UpdateContinuousBackups dynamodb:UpdateTable dynamodb:UpdateTimeToLive
		ec2:CreateLaunchTemplate ec2:CreateSecurityGroup ec2:DeleteLaunchTemplate ec2:DeleteSecurityGroup ec2:DescribeInstances ec2:DescribeNetworkInterfaces ec2:DescribeRouteTables ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs ec2:RunInstances
		ecr:BatchDeleteImage ecr:CreateRepository ecr:DeleteRepository ecr:DescribeImages ecr:DescribeRepositories ecr:PutLifecyclePolicy
		ecs:CreateCapacityProvider ecs:CreateCluster ecs:DeleteCapacityProvider ecs:DeleteCluster ecs:DeleteTaskDefinitions ecs:DeregisterTaskDefinition ecs:DescribeClusters ecs:DescribeTaskDefinition ecs:DescribeTasks ecs:ListTaskDefinitionFamilies ecs:ListTaskDefinitions ecs:ListTasks ecs:PutClusterCapacityProviders ecs:RegisterTaskDefinition ecs:StopTask
		events:CancelReplay events:CreateArchive events:CreateEventBus events:DeleteArchive events:DeleteEventBus events:DeleteRule events:DescribeArchive events:DescribeEventBus events:DescribeReplay events:DisableRule events:EnableRule events:ListReplays events:ListRules events:ListTargetsByRule events:PutRule events:PutTargets events:RemoveTargets
		iam:AttachRolePolicy iam:CreateInstanceProfile iam:CreateRole iam:DeleteInstanceProfile iam:DeleteRole iam:DeleteRolePolicy iam:PassRole iam:PutRolePermissionsBoundary iam:PutRolePolicy
		lambda:AddPermission lambda:CreateFunction lambda:CreateFunctionUrlConfig lambda:DeleteFunction lambda:GetFunctionConfiguration lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration
		logs:CreateLogGroup logs:DeleteLogGroup logs:DescribeLogGroups logs:DescribeResourcePolicies logs:FilterLogEvents logs:GetLogEvents logs:PutResourcePolicy logs:PutRetentionPolicy
		s3:CreateBucket s3:DeleteBucket s3:DeleteObject s3:DeleteObjectVersion s3:GetObject s3:ListBucket s3:ListBucketVersions s3:PutBucketPublicAccessBlock s3:PutBucketVersioning s3:PutEncryptionConfiguration s3:PutLifecycleConfiguration s3:PutObject
		schemas:CreateDiscoverer schemas:DeleteDiscoverer schemas:DeleteSchema schemas:ListDiscoverers schemas:ListSchemas
		secretsmanager:CreateSecret secretsmanager:DeleteSecret secretsmanager:GetSecretValue secretsmanager:ListSecrets secretsmanager:PutSecretValue
		sqs:CreateQueue sqs:DeleteQueue sqs:GetQueueUrl sqs:SetQueueAttributes
		ssm:GetParameters sts:GetCallerIdentity`)
}

// missing asks IAM which permissions the caller lacks. Where IAM may not be asked, or
// knows no policies of the caller, such as the account's root, none is known to be missing.
func (a *Account) missing(ctx context.Context, stack string) ([]string, error) {
	api := iam.NewFromConfig(a.Config)
	who, err := a.principal(ctx, api)
	if err != nil || who == "" {
		return nil, ignoreDenied(err)
	}
	byResources := map[string][]string{}
	for _, action := range Permissions() {
		on := strings.Join(a.resources(stack, action), " ")
		byResources[on] = append(byResources[on], action)
	}
	var (
		mu  sync.Mutex
		all []string // guarded by mu
	)
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(4)
	for on, actions := range byResources {
		work.Go(func() error {
			denied, err := simulate(ctx, api, who, actions, strings.Fields(on))
			mu.Lock()
			defer mu.Unlock()
			all = append(all, denied...)
			return err
		})
	}
	err = ignoreDenied(work.Wait())
	slices.Sort(all)
	return all, err
}

func ignoreDenied(err error) error {
	if refusal.Denied(err) || notThere(err) {
		return nil
	}
	return err
}

// principal is the user or role that acts; "" when it has no policies.
func (a *Account) principal(ctx context.Context, api *iam.Client) (string, error) {
	_, name, assumed := strings.Cut(a.Caller, ":assumed-role/")
	if !assumed {
		if strings.Contains(a.Caller, ":user/") {
			return a.Caller, nil
		}
		return "", nil
	}
	name, _, _ = strings.Cut(name, "/")
	out, err := api.GetRole(ctx, &iam.GetRoleInput{RoleName: &name}) // its path is not in the session's name
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Role.Arn), nil
}

// simulate returns those of actions that IAM would refuse who on one of resources.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func simulate(ctx context.Context, api *iam.Client, who string, actions, resources []string) (denied []string, err error) {
	for pages := iam.NewSimulatePrincipalPolicyPaginator(api, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: &who, ActionNames: actions, ResourceArns: resources,
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking IAM what %s may do: %w", who, err)
		}
		for _, r := range page.EvaluationResults {
			if name := aws.ToString(r.EvalActionName); refuses(r) && !slices.Contains(denied, name) {
				denied = append(denied, name)
			}
		}
	}
	return denied, nil
}

func refuses(r types.EvaluationResult) bool {
	return r.EvalDecision != types.PolicyEvaluationDecisionTypeAllowed ||
		slices.ContainsFunc(r.ResourceSpecificResults, func(on types.ResourceSpecificResult) bool {
			return on.EvalResourceDecision != types.PolicyEvaluationDecisionTypeAllowed
		})
}
