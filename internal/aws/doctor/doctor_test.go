package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/doctor"
)

// body is a stack as far as the doctor looks at one.
const body = `
Parameters:
  RulesState: {Type: String, Default: ENABLED}
  ImageDigestAmd64: {Type: String, Default: ""}
Resources:
  Cluster: {Type: AWS::ECS::Cluster, Properties: {ClusterName: ci}}
  Letters: {Type: AWS::SQS::Queue, Properties: {QueueName: ci-dead-letters}}
  Quarantine: {Type: AWS::SQS::Queue, Properties: {QueueName: ci-quarantine}}
  Task: {Type: AWS::ECS::TaskDefinition, Properties: {Family: ci-small, ContainerDefinitions: [{Name: runner, Image: x, Memory: 64, Cpu: 64}]}}
Outputs:
  ClusterName: {Value: !Ref Cluster}
  DeadLettersUrl: {Value: !Ref Letters}
  QuarantineUrl: {Value: !Ref Quarantine}
  WebhookSecretArn: {Value: webhook}
  AppSecretArn: {Value: app}
`

// A ward is a patient in moto.
type ward struct {
	doctor.Patient
	cloud *awstest.Cloud
}

func newWard(t *testing.T) *ward {
	t.Helper()
	cloud := awstest.Start(t)
	front := cloud.Front(t, map[string]http.Handler{"monitoring": awstest.Alarms(), "lambda": http.HandlerFunc(settings)})
	w := &ward{cloud: cloud, Patient: doctor.Patient{
		Account: &deploy.Account{Config: front.Config}, Stack: deploy.NewStack(front.Config, "ci"), Architectures: []string{"amd64"},
		Containers: func(context.Context) ([]string, error) { return nil, nil },
		Ping:       func(context.Context) error { return nil },
	}}
	return w
}

// settings is Lambda's GetAccountSettings, which moto lacks, in an account that is new.
// https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html
func settings(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `{"AccountLimit": {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}}`)
}

// results examines the patient, and returns what came out by check.
func (w *ward) results(t *testing.T) map[string]doctor.Result {
	t.Helper()
	all := map[string]doctor.Result{}
	for _, r := range doctor.Examine(t.Context(), w.Patient) {
		all[r.Check] = r
		if r.State != doctor.OK && r.Hint == "" && r.Says == "" {
			t.Errorf("%+v: want it said", r)
		}
	}
	return all
}

// TestStackThatIsNotThere: what follows from it is not said again.
func TestStackThatIsNotThere(t *testing.T) {
	w := newWard(t)
	report := doctor.Examine(t.Context(), w.Patient)
	if len(report) != 2 || report[1].State != doctor.Failed || report.Healthy() || report[1].Hint != "mayfly deploy creates it" {
		t.Errorf("%+v: want the account, and that there is no stack", report)
	}
}

// TestPatient makes a stack ill in one way after the other.
func TestPatient(t *testing.T) {
	w := newWard(t)
	if _, err := cloudformation.NewFromConfig(w.cloud.Config).CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: aws.String("ci"), TemplateBody: aws.String(body)}); err != nil {
		t.Fatal(err)
	}
	secrets := secretsmanager.NewFromConfig(w.cloud.Config)
	for _, name := range []string{"webhook", "app"} {
		w.cloud.SetSecret(t, name, true)
	}
	got := w.results(t)
	for check, want := range map[string]doctor.State{
		"account": doctor.OK, "stack": doctor.OK, "rules": doctor.OK, "secrets": doctor.Failed, "concurrency": doctor.Warning, "log policies": doctor.OK,
		"images": doctor.Failed, "hosts": doctor.OK, "agents": doctor.OK, "tasks": doctor.OK, "sessions": doctor.Skipped, "queues": doctor.OK, "alarms": doctor.OK, "ping": doctor.OK,
	} {
		if got[check].State != want {
			t.Errorf("%s: %+v, want %s", check, got[check], want)
		}
	}
	for _, name := range []string{"webhook", "app"} {
		if _, err := secrets.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: aws.String("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sqs.NewFromConfig(w.cloud.Config).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(w.queue(t)), MessageBody: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	task := w.runTask(t)
	w.Containers = func(context.Context) ([]string, error) { return []string{task}, nil }
	w.Ping = func(context.Context) error { return errors.New("GitHub answered 404") }
	got = w.results(t)
	if got["secrets"].State != doctor.OK || got["queues"].State != doctor.Warning || got["sessions"].State != doctor.OK || got["ping"].State != doctor.Failed {
		t.Errorf("%+v", got)
	}
	w.Containers = func(context.Context) ([]string, error) { return []string{"another"}, nil }
	if got = w.results(t); got["sessions"].State != doctor.Warning {
		t.Errorf("claim of a container that is no task: %+v", got["sessions"])
	}
}

func (w *ward) queue(t *testing.T) string {
	t.Helper()
	out, err := sqs.NewFromConfig(w.cloud.Config).GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("ci-dead-letters")})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl
}

// runTask starts a task on an instance, and returns its id.
func (w *ward) runTask(t *testing.T) string {
	t.Helper()
	machine, err := ec2.NewFromConfig(w.cloud.Config).RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: aws.String("ami-12c6146b"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	api := ecs.NewFromConfig(w.cloud.Config)
	document := fmt.Sprintf(`{"instanceId": %q}`, *machine.Instances[0].InstanceId)
	if _, err := api.RegisterContainerInstance(t.Context(), &ecs.RegisterContainerInstanceInput{Cluster: aws.String("ci"), InstanceIdentityDocument: &document}); err != nil {
		t.Fatal(err)
	}
	out, err := api.RunTask(t.Context(), &ecs.RunTaskInput{Cluster: aws.String("ci"), TaskDefinition: aws.String("ci-small"), LaunchType: ecstypes.LaunchTypeEc2})
	if err != nil || len(out.Tasks) != 1 {
		t.Fatalf("%+v, %v: want a task", out, err)
	}
	arn := *out.Tasks[0].TaskArn
	return arn[strings.LastIndex(arn, "/")+1:]
}

// TestReportCanBePasted: it has a line for each check, its hint, and no account number.
func TestReportCanBePasted(t *testing.T) {
	report := doctor.Report{
		{Check: "account", State: doctor.OK, Says: "arn:aws:iam::123456789012:user/a"},
		{Check: "tasks", State: doctor.Failed, Says: "no\nhost", Hint: "wait"},
	}
	var b strings.Builder
	if _, err := report.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	want := []string{"ok      account  arn:aws:iam::ACCOUNT:user/a", "FAILED  tasks    no host", "                 hint: wait"}
	if !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
}
