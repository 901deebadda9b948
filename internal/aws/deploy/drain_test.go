package deploy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
)

// drained is what a drain works on: a group with hosts, and rules that start tasks, of which moto asks
// for no capacity provider.
const drained = `
Resources:
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: ci}}
  Cluster: {Type: AWS::ECS::Cluster, Properties: {ClusterName: ci}}
  Template: {Type: AWS::EC2::LaunchTemplate, Properties: {LaunchTemplateData: {ImageId: ami-12c6146b, InstanceType: m5.large}}}
  HostAmd64Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MinSize: "2"
      MaxSize: "4"
      NewInstancesProtectedFromScaleIn: true
      VPCZoneIdentifier: [%[1]s]
      LaunchTemplate: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}
  PoolSmallTask:
    Type: AWS::ECS::TaskDefinition
    Properties: {Family: ci-small, ContainerDefinitions: [{Name: runner, Image: x, Memory: 64, Cpu: 64}]}
  PoolSmallQueued: {Type: AWS::Events::Rule, Properties: {Name: queued-small, EventBusName: !Ref Bus, EventPattern: {source: [a]}, Targets: [%[2]s]}}
  PoolBigQueued: {Type: AWS::Events::Rule, Properties: {Name: queued-big, EventBusName: !Ref Bus, EventPattern: {source: [a]}, Targets: [%[3]s]}}
  JobsRule: {Type: AWS::Events::Rule, Properties: {Name: jobs, EventBusName: !Ref Bus, EventPattern: {source: [a]}}}
`

func target(family, provider string) string {
	return fmt.Sprintf(`{Id: task, Arn: !GetAtt Cluster.Arn, RoleArn: "arn:aws:iam::123456789012:role/x", EcsParameters: {TaskDefinitionArn: "arn:aws:ecs:%s:123456789012:task-definition/%s", CapacityProviderStrategy: [{CapacityProvider: %s, Weight: 1}]}}`,
		awstest.Region, family, provider)
}

// TestDrain: before an update removes hosts, nothing starts on them, their jobs end, and they are gone
// although they were protected; after it, all that is left works as before.
func TestDrain(t *testing.T) {
	cloud := awstest.Start(t)
	s, _ := newStack(cloud)
	body := fmt.Sprintf(drained, cloud.Network(t).Subnet, target("ci-small", "ci-amd64"), target("ci-big", "ci-arm64"))
	if _, _, err := s.Apply(t.Context(), deploy.Wanted{Template: []byte(body)}, func([]deploy.Change) error { return nil }); err != nil {
		t.Fatal(err)
	}
	task := runTask(t, cloud)
	api := ecs.NewFromConfig(cloud.Config)
	var heard []int
	r := deploy.Drainer{Account: &deploy.Account{Config: cloud.Config}, Stack: s, Cluster: "ci", Tell: func(n int) {
		heard = append(heard, n)
		if _, size := hosts(t, cloud); size != 2 || state(t, cloud, "queued-small") != "DISABLED" || state(t, cloud, "queued-big") != "ENABLED" || state(t, cloud, "jobs") != "ENABLED" {
			t.Errorf("while a job runs: %d hosts, rules %s, %s and %s: want its hosts, and only what starts more of it off", size,
				state(t, cloud, "queued-small"), state(t, cloud, "queued-big"), state(t, cloud, "jobs"))
		}
		if _, err := api.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("ci"), Task: &task}); err != nil {
			t.Error(err)
		}
	}}
	groups, err := s.Resources(t.Context(), "AWS::AutoScaling::AutoScalingGroup")
	if err != nil {
		t.Fatal(err)
	}
	drain := deploy.Drain{Groups: groups, Providers: []string{"ci-amd64"}, Tasks: []string{"PoolSmallTask"}}
	s.Look = time.Millisecond
	if err := r.Run(t.Context(), drain); err != nil {
		t.Fatal(err)
	}
	if len(heard) != 1 || heard[0] != 1 {
		t.Errorf("waited for %v jobs, want one", heard)
	}
	if least, size := hosts(t, cloud); least != 0 || size != 0 {
		t.Errorf("%d hosts, at least %d: want none", size, least)
	}
	for range 2 { // the second finds nothing to do
		if err := r.Resume(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
	}
	if least, _ := hosts(t, cloud); least != 2 || state(t, cloud, "queued-small") != "ENABLED" {
		t.Errorf("after the update: at least %d hosts, rule %s: want 2, and on", least, state(t, cloud, "queued-small"))
	}
}

// runTask starts a task on an instance, and returns its ARN.
func runTask(t *testing.T, cloud *awstest.Cloud) string {
	t.Helper()
	instances, err := ec2.NewFromConfig(cloud.Config).DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
	if err != nil {
		t.Fatal(err)
	}
	api := ecs.NewFromConfig(cloud.Config)
	document := fmt.Sprintf(`{"instanceId": %q}`, *instances.Reservations[0].Instances[0].InstanceId)
	if _, err := api.RegisterContainerInstance(t.Context(), &ecs.RegisterContainerInstanceInput{Cluster: aws.String("ci"), InstanceIdentityDocument: &document}); err != nil {
		t.Fatal(err)
	}
	out, err := api.RunTask(t.Context(), &ecs.RunTaskInput{Cluster: aws.String("ci"), TaskDefinition: aws.String("ci-small"), LaunchType: ecstypes.LaunchTypeEc2})
	if err != nil || len(out.Tasks) != 1 {
		t.Fatalf("%+v, %v: want a task", out, err)
	}
	return *out.Tasks[0].TaskArn
}

// hosts returns the least size of the group, and its size.
func hosts(t *testing.T, cloud *awstest.Cloud) (least, size int) {
	t.Helper()
	out, err := autoscaling.NewFromConfig(cloud.Config).DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{})
	if err != nil || len(out.AutoScalingGroups) != 1 {
		t.Fatalf("%+v, %v: want one group", out, err)
	}
	return int(*out.AutoScalingGroups[0].MinSize), len(out.AutoScalingGroups[0].Instances)
}

func state(t *testing.T, cloud *awstest.Cloud, rule string) string {
	t.Helper()
	out, err := eventbridge.NewFromConfig(cloud.Config).DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: &rule, EventBusName: aws.String("ci")})
	if err != nil {
		t.Fatal(err)
	}
	return string(out.State)
}
