package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/codecommit"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/schemas"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secrettypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/errgroup"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/ec2"
	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// StackTag is the tag of every resource of the stack that can have tags; its value is the stack's name.
const StackTag = "mayfly:stack"

// A Thing is a resource in an account that belongs or belonged to a stack.
type Thing struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Data bool   `json:"data"` // it is kept with the data: bus, archive, logs and the image's source
}

func (t Thing) String() string { return t.Kind + " " + t.Name }

// A search finds the things of one kind.
type search struct {
	kind string
	data bool
	find func(context.Context) ([]string, error)
}

// Find returns everything in the account with the names or tags of the stack called name, whoever created
// it. It fails if it cannot search for a kind. It leaves out resources of other stacks whose names begin
// with name.
func (a *Account) Find(ctx context.Context, name string) ([]Thing, error) {
	others, err := a.longerNames(ctx, name)
	if err != nil {
		return nil, err
	}
	searches := a.searches(name)
	found := make([][]Thing, len(searches))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, s := range searches {
		group.Go(func() error {
			names, err := s.find(ctx)
			if err != nil && !notThere(err) {
				return fmt.Errorf("looking for %ss of %s: %w", s.kind, name, err)
			}
			for _, n := range names {
				if belongs(n, others) {
					continue
				}
				found[i] = append(found[i], Thing{s.kind, n, s.data})
			}
			return nil
		})
	}
	err = group.Wait()
	return slices.Concat(found...), err
}

// longerNames returns the names of other stacks that begin with name and a dash.
func (a *Account) longerNames(ctx context.Context, name string) (others []string, err error) {
	api := cloudformation.NewFromConfig(a.Config)
	for pages := cloudformation.NewListStacksPaginator(api, &cloudformation.ListStacksInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("stacks of %s: %w", a.ID, err)
		}
		for _, s := range page.StackSummaries {
			if n := aws.ToString(s.StackName); s.StackStatus != cftypes.StackStatusDeleteComplete && strings.HasPrefix(n, name+"-") {
				others = append(others, n)
			}
		}
	}
	return others, nil
}

// belongs reports whether a thing belongs to one of stacks, by its name or the last part of its path.
func belongs(name string, stacks []string) bool {
	base := name[strings.LastIndex(name, "/")+1:]
	return slices.ContainsFunc(stacks, func(s string) bool { return base == s || strings.HasPrefix(base, s+"-") })
}

// notThere reports whether err means that a resource does not exist. Services use different codes for
// that.
func notThere(err error) bool {
	code := refusal.Code(err)
	for _, part := range []string{"NotFound", "DoesNotExist", "NonExistent", "NoSuch"} {
		if strings.Contains(code, part) {
			return true
		}
	}
	return code == "ValidationError" && strings.Contains(err.Error(), "does not exist")
}

// searches returns the searches for all kinds of resources, by the names that aws/stack gives them.
func (a *Account) searches(name string) []search {
	return slices.Concat([]search{
		{"stack", false, func(ctx context.Context) ([]string, error) {
			state, err := NewStack(a.Config, name).State(ctx)
			return some(state.Exists(), name), err
		}},
		{"bucket", false, func(ctx context.Context) ([]string, error) {
			b := NewBucket(a.Config, a.ID, name)
			there, err := b.Exists(ctx)
			return some(there, b.Name), err
		}},
	}, a.eventThings(name), a.imageThings(name), a.taskThings(name), a.otherThings(name))
}

// some returns a list with name if it exists, else none.
func some(there bool, name string) []string {
	if !there {
		return nil
	}
	return []string{name}
}

// prefixed returns the names that belong to the stack.
func prefixed(names []string, stack string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return n != stack && !strings.HasPrefix(n, stack+"-") })
}

func (a *Account) eventThings(name string) []search {
	events, shapes := eventbridge.NewFromConfig(a.Config), schemas.NewFromConfig(a.Config)
	return []search{
		{"event bus", true, func(ctx context.Context) ([]string, error) {
			_, err := events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &name})
			return some(err == nil, name), err
		}},
		{"archive", true, func(ctx context.Context) ([]string, error) {
			_, err := events.DescribeArchive(ctx, &eventbridge.DescribeArchiveInput{ArchiveName: &name})
			return some(err == nil, name), err
		}},
		{"rule", false, func(ctx context.Context) (names []string, err error) {
			out, err := events.ListRules(ctx, &eventbridge.ListRulesInput{NamePrefix: aws.String(name + "-")})
			if err == nil {
				for _, r := range out.Rules {
					names = append(names, aws.ToString(r.Name))
				}
			}
			return names, err
		}},
		{"schema discoverer", false, func(ctx context.Context) (names []string, err error) {
			source := fmt.Sprintf("arn:%s:events:%s:%s:event-bus/%s", a.partition(), a.Region(), a.ID, name)
			out, err := shapes.ListDiscoverers(ctx, &schemas.ListDiscoverersInput{SourceArnPrefix: &source})
			if err == nil {
				for _, d := range out.Discoverers {
					if aws.ToString(d.SourceArn) == source {
						names = append(names, aws.ToString(d.DiscovererId))
					}
				}
			}
			return names, err
		}},
	}
}

func (a *Account) imageThings(name string) []search {
	images, builds := ecr.NewFromConfig(a.Config), codebuild.NewFromConfig(a.Config)
	return []search{
		{"image repository", false, func(ctx context.Context) ([]string, error) {
			repository := name + "-runner"
			_, err := images.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{repository}})
			return some(err == nil, repository), err
		}},
		{"source repository", true, func(ctx context.Context) ([]string, error) {
			repository, err := a.HasSource(ctx, name)
			return some(repository != "", repository), err
		}},
		{"build project", false, func(ctx context.Context) (names []string, err error) {
			out, err := builds.BatchGetProjects(ctx, &codebuild.BatchGetProjectsInput{Names: []string{name + "-build-amd64", name + "-build-arm64"}})
			if err == nil {
				for _, p := range out.Projects {
					names = append(names, aws.ToString(p.Name))
				}
			}
			return names, err
		}},
	}
}

func (a *Account) taskThings(name string) []search {
	tasks, hosts, machines := ecs.NewFromConfig(a.Config), autoscaling.NewFromConfig(a.Config), ec2.New(a.Config)
	return []search{
		{"cluster", false, func(ctx context.Context) ([]string, error) {
			out, err := tasks.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{name}})
			return some(err == nil && len(out.Clusters) > 0 && aws.ToString(out.Clusters[0].Status) != "INACTIVE", name), err
		}},
		{"task definition", false, func(ctx context.Context) ([]string, error) {
			out, err := tasks.ListTaskDefinitionFamilies(ctx, &ecs.ListTaskDefinitionFamiliesInput{FamilyPrefix: aws.String(name + "-"), Status: ecstypes.TaskDefinitionFamilyStatusActive})
			if err != nil {
				return nil, err
			}
			return active(ctx, tasks, out.Families)
		}},
		{"group of hosts", false, func(ctx context.Context) (names []string, err error) {
			for pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(hosts, &autoscaling.DescribeAutoScalingGroupsInput{}); pages.HasMorePages(); {
				page, err := pages.NextPage(ctx)
				if err != nil {
					return nil, err
				}
				for _, g := range page.AutoScalingGroups {
					names = append(names, aws.ToString(g.AutoScalingGroupName))
				}
			}
			return prefixed(names, name), nil
		}},
		{"host", false, func(ctx context.Context) ([]string, error) {
			return machines.Instances(ctx,
				ec2.Filter{Name: "tag:aws:cloudformation:stack-name", Values: []string{name}},
				ec2.Filter{Name: "instance-state-name", Values: []string{"pending", "running", "stopping", "stopped"}})
		}},
	}
}

// active returns the families with an active revision.
func active(ctx context.Context, api *ecs.Client, families []string) (some []string, err error) {
	for _, f := range families {
		out, err := api.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{FamilyPrefix: &f, Status: ecstypes.TaskDefinitionStatusActive, MaxResults: aws.Int32(1)})
		if err != nil {
			return nil, err
		}
		if len(out.TaskDefinitionArns) > 0 {
			some = append(some, f)
		}
	}
	return some, nil
}

func (a *Account) otherThings(name string) []search {
	tables, queues, functions := dynamodb.NewFromConfig(a.Config), sqs.NewFromConfig(a.Config), lambda.NewFromConfig(a.Config)
	secrets, watch := secretsmanager.NewFromConfig(a.Config), cloudwatch.NewFromConfig(a.Config)
	searches := []search{
		{"table", false, func(ctx context.Context) ([]string, error) {
			table := name + "-ledger"
			_, err := tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
			return some(err == nil, table), err
		}},
		{"secret", false, func(ctx context.Context) (names []string, err error) {
			out, err := secrets.ListSecrets(ctx, &secretsmanager.ListSecretsInput{Filters: []secrettypes.Filter{
				{Key: secrettypes.FilterNameStringTypeTagKey, Values: []string{StackTag}}, {Key: secrettypes.FilterNameStringTypeTagValue, Values: []string{name}},
			}})
			if err == nil {
				for _, s := range out.SecretList {
					names = append(names, aws.ToString(s.Name))
				}
			}
			return names, err
		}},
		{"alarm", false, func(ctx context.Context) (names []string, err error) {
			out, err := watch.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(name + "-")})
			if err == nil {
				for _, alarm := range out.MetricAlarms {
					names = append(names, aws.ToString(alarm.AlarmName))
				}
			}
			return names, err
		}},
		{"log group", true, func(ctx context.Context) ([]string, error) { return a.logGroups(ctx, name) }},
	}
	for _, q := range contract.Queues {
		searches = append(searches, search{"queue", false, func(ctx context.Context) ([]string, error) {
			queue := name + "-" + q
			_, err := queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &queue})
			return some(err == nil, queue), err
		}})
	}
	for _, f := range []string{"webhook", "claim", "ledger", "sweep", "release"} {
		searches = append(searches, search{"function", false, func(ctx context.Context) ([]string, error) {
			function := name + "-" + f
			_, err := functions.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &function})
			return some(err == nil, function), err
		}})
	}
	return searches
}

// logGroups returns the log groups that CloudFormation named, those that services created, and the one
// for events.
func (a *Account) logGroups(ctx context.Context, name string) (names []string, err error) {
	api := cloudwatchlogs.NewFromConfig(a.Config)
	for _, prefix := range []string{name + "-", "/aws/lambda/" + name + "-", "/aws/codebuild/" + name + "-", "/aws/events/" + name} {
		for pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(api, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &prefix}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, g := range page.LogGroups {
				n := aws.ToString(g.LogGroupName)
				if base := strings.TrimPrefix(n, "/aws/events/"); base == n || base == name { // not that of a stack whose name goes on
					names = append(names, n)
				}
			}
		}
	}
	return names, nil
}

// partition returns the account's partition of AWS, such as aws or aws-cn.
func (a *Account) partition() string {
	if parts := strings.SplitN(a.Caller, ":", 3); len(parts) == 3 {
		return parts[1]
	}
	return "aws"
}

// IsGone reports whether err means that the resource does not exist, such as the table of a stack that
// is being deleted.
func IsGone(err error) bool { return err != nil && notThere(err) }

// HasSource returns the name of the source repository of a stack if it exists, else "".
func (a *Account) HasSource(ctx context.Context, stack string) (string, error) {
	repository := stack + "-image"
	_, err := codecommit.NewFromConfig(a.Config).GetRepository(ctx, &codecommit.GetRepositoryInput{RepositoryName: &repository})
	if notThere(err) {
		return "", nil
	}
	return repository, err
}
