package awstest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// What tests put into moto that something else would: CloudFormation, CodeBuild, a person.

// A Network is one to run in. moto has a default one, and cannot remove one that a stack
// made.
type Network struct{ VPC, Subnet string }

// Network returns moto's default network.
func (c *Cloud) Network(t testing.TB) Network {
	t.Helper()
	out, err := ec2.NewFromConfig(c.Config).DescribeSubnets(context.Background(), &ec2.DescribeSubnetsInput{})
	if err != nil || len(out.Subnets) == 0 {
		t.Fatalf("subnets of moto: %v, %v", out, err)
	}
	return Network{aws.ToString(out.Subnets[0].VpcId), aws.ToString(out.Subnets[0].SubnetId)}
}

// SetSecret makes a secret without a value, unless there is one, or removes it at once.
func (c *Cloud) SetSecret(t testing.TB, name string, there bool) {
	api := secretsmanager.NewFromConfig(c.Config)
	_, err := api.DescribeSecret(context.Background(), &secretsmanager.DescribeSecretInput{SecretId: &name})
	switch is := err == nil; {
	case there && !is:
		_, err = api.CreateSecret(context.Background(), &secretsmanager.CreateSecretInput{Name: &name})
	case !there && is:
		_, err = api.DeleteSecret(context.Background(), &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
	default:
		return
	}
	if err != nil {
		t.Errorf("secret %s: %v", name, err)
	}
}

// Secret returns the value of a secret; "" when it has none.
func (c *Cloud) Secret(t testing.TB, name string) string {
	t.Helper()
	out, err := secretsmanager.NewFromConfig(c.Config).GetSecretValue(context.Background(), &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		t.Logf("secret %s: %v", name, err)
		return ""
	}
	return aws.ToString(out.SecretString)
}

// PushImage puts an image into a repository and returns its digest.
func (c *Cloud) PushImage(t testing.TB, repository, tag string) string {
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":1,"digest":"sha256:%x"},"layers":[]}`, sha256.Sum256([]byte(tag)))
	out, err := ecr.NewFromConfig(c.Config).PutImage(context.Background(), &ecr.PutImageInput{
		RepositoryName: &repository, ImageManifest: &manifest, ImageTag: &tag, ImageDigest: aws.String(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(manifest)))),
	})
	if err != nil {
		t.Errorf("pushing %s: %v", tag, err)
		return ""
	}
	return aws.ToString(out.Image.ImageId.ImageDigest)
}

// MakeLogGroup makes a log group.
func (c *Cloud) MakeLogGroup(t testing.TB, name string) {
	t.Helper()
	if _, err := cloudwatchlogs.NewFromConfig(c.Config).CreateLogGroup(context.Background(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name}); err != nil {
		t.Fatal(err)
	}
}

// LogGroups returns the names of all there are, sorted.
func (c *Cloud) LogGroups(t testing.TB) (names []string) {
	t.Helper()
	out, err := cloudwatchlogs.NewFromConfig(c.Config).DescribeLogGroups(context.Background(), &cloudwatchlogs.DescribeLogGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range out.LogGroups {
		names = append(names, aws.ToString(g.LogGroupName))
	}
	slices.Sort(names)
	return names
}

// RemoveCluster removes an ECS cluster, if it is there.
func (c *Cloud) RemoveCluster(t testing.TB, name string) {
	_, err := ecs.NewFromConfig(c.Config).DeleteCluster(context.Background(), &ecs.DeleteClusterInput{Cluster: &name})
	var gone *ecstypes.ClusterNotFoundException
	if err != nil && !errors.As(err, &gone) {
		t.Errorf("removing cluster %s: %v", name, err)
	}
}

// StackResources returns the types of a stack's resources, by logical id.
func (c *Cloud) StackResources(t testing.TB, name string) map[string]string {
	t.Helper()
	out, err := cloudformation.NewFromConfig(c.Config).DescribeStackResources(context.Background(), &cloudformation.DescribeStackResourcesInput{StackName: &name})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, r := range out.StackResources {
		all[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.ResourceType)
	}
	return all
}

// MakeStack makes a stack with one queue, unless it is there.
func (c *Cloud) MakeStack(t testing.TB, name string) {
	t.Helper()
	_, err := cloudformation.NewFromConfig(c.Config).CreateStack(context.Background(), &cloudformation.CreateStackInput{
		StackName: &name, TemplateBody: aws.String("Resources: {Queue: {Type: AWS::SQS::Queue}}"),
	})
	var there *cftypes.AlreadyExistsException
	if err != nil && !errors.As(err, &there) {
		t.Fatal(err)
	}
}

// RegisterTask registers a task definition.
func (c *Cloud) RegisterTask(t testing.TB, family string) {
	t.Helper()
	if _, err := ecs.NewFromConfig(c.Config).RegisterTaskDefinition(context.Background(), &ecs.RegisterTaskDefinitionInput{
		Family: &family, ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("runner"), Image: aws.String("x"), Memory: aws.Int32(64)}},
	}); err != nil {
		t.Fatal(err)
	}
}

// HasTask reports whether a family has a revision that is in force.
func (c *Cloud) HasTask(t testing.TB, family string) bool {
	t.Helper()
	out, err := ecs.NewFromConfig(c.Config).ListTaskDefinitions(context.Background(), &ecs.ListTaskDefinitionsInput{FamilyPrefix: &family, Status: ecstypes.TaskDefinitionStatusActive})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.TaskDefinitionArns) > 0
}

// PutLog writes lines to a log group, in a stream of its own.
func (c *Cloud) PutLog(t testing.TB, group string, lines ...string) {
	t.Helper()
	in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: &group, LogStreamName: aws.String("1")}
	for _, line := range lines {
		in.LogEvents = append(in.LogEvents, logtypes.InputLogEvent{Timestamp: aws.Int64(time.Now().UnixMilli()), Message: &line})
	}
	api := cloudwatchlogs.NewFromConfig(c.Config)
	_, err1 := api.CreateLogStream(context.Background(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: in.LogStreamName})
	_, err2 := api.PutLogEvents(context.Background(), in)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
}

// RuleToQueue makes a rule on a bus that moto makes for it, unless it is there, with a queue of
// the rule's name as its target, and returns the queue's URL.
func (c *Cloud) RuleToQueue(t testing.TB, bus, name, pattern string) string {
	t.Helper()
	ctx, rules := context.Background(), eventbridge.NewFromConfig(c.Config)
	if _, err := rules.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &bus}); err != nil {
		if _, err := rules.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: &bus}); err != nil {
			t.Fatal(err)
		}
	}
	queue, err1 := sqs.NewFromConfig(c.Config).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
	_, err2 := rules.PutRule(ctx, &eventbridge.PutRuleInput{EventBusName: &bus, Name: &name, EventPattern: &pattern})
	_, err3 := rules.PutTargets(ctx, &eventbridge.PutTargetsInput{EventBusName: &bus, Rule: &name, Targets: []eventtypes.Target{
		{Id: aws.String("queue"), Arn: aws.String("arn:aws:sqs:" + Region + ":" + Account + ":" + name)},
	}})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return aws.ToString(queue.QueueUrl)
}

// Received takes the messages out of a queue, and returns their bodies.
func (c *Cloud) Received(t testing.TB, queue string) (bodies []string) {
	t.Helper()
	for api := sqs.NewFromConfig(c.Config); ; {
		out, err := api.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &queue, MaxNumberOfMessages: 10, VisibilityTimeout: 3600})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return bodies
		}
		for _, m := range out.Messages {
			bodies = append(bodies, aws.ToString(m.Body))
		}
	}
}
