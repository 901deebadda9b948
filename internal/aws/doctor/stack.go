package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
)

func (e *examination) account(ctx context.Context) (string, error) {
	if err := e.Account.Identify(ctx); err != nil {
		return "", err
	}
	return e.Account.Caller + " in " + e.Account.Region(), nil
}

func (e *examination) stack(ctx context.Context) (string, error) {
	var err error
	if e.state, err = e.Stack.State(ctx); err != nil {
		return "", err
	}
	says := e.Stack.Name + ": " + e.state.Status
	switch {
	case !e.state.Exists():
		return "", fail("mayfly deploy creates it", "%s is not there", e.Stack.Name)
	case e.state.Busy():
		return "", warn("wait until AWS has finished", "%s", says)
	case !strings.HasSuffix(e.state.Status, "_COMPLETE"):
		return "", fail("mayfly deploy says what to do about it", "%s: %s", says, e.state.Reason)
	}
	return says, nil
}

func (e *examination) rules(context.Context) (string, error) {
	if e.state.Parameters[deploy.RulesState] != deploy.RulesOn {
		return "", fail("mayfly deploy builds the first image, and turns them on", "they are off: no job gets a runner")
	}
	return "on", nil
}

// secrets reads that the secrets have a value, and not the value.
func (e *examination) secrets(ctx context.Context) (string, error) {
	api := secretsmanager.NewFromConfig(e.Account.Config)
	for _, output := range []string{"WebhookSecretArn", "AppSecretArn"} {
		arn := e.state.Outputs[output]
		out, err := api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &arn})
		if err != nil {
			return "", err
		}
		if len(out.VersionIdsToStages) == 0 {
			return "", fail("mayfly deploy fills it", "%s has no value", strings.TrimSuffix(output, "Arn"))
		}
	}
	return "filled", nil
}

// scarce is how much of Lambda's concurrency is too little: new accounts have 10, and AWS raises it on request.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const scarce = 100

func (e *examination) concurrency(ctx context.Context) (string, error) {
	out, err := lambda.NewFromConfig(e.Account.Config).GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	if err != nil || out.AccountLimit == nil {
		return "", err
	}
	says := fmt.Sprintf("%d calls of functions at once, %d of them not reserved", out.AccountLimit.ConcurrentExecutions, aws.ToInt32(out.AccountLimit.UnreservedConcurrentExecutions))
	if aws.ToInt32(out.AccountLimit.UnreservedConcurrentExecutions) < scarce {
		return "", warn("Service Quotas on AWS's console raises Lambda's concurrent executions", "%s: bursts of deliveries are refused with 429", says)
	}
	return says, nil
}

func (e *examination) logPolicies(ctx context.Context) (string, error) {
	which, err := e.Account.LogPolicy(ctx, e.Stack.Name)
	return "EventBridge writes the log of events by the policy that is " + which, err
}

func (e *examination) images(context.Context) (string, error) {
	for _, architecture := range e.Architectures {
		if e.state.Parameters[deploy.ImageDigest+stack.Suffix(architecture)] == "" {
			return "", fail("mayfly deploy builds it", "there is none for %s", architecture)
		}
	}
	return "built for " + strings.Join(e.Architectures, ", "), nil
}

// queues counts what nobody could deliver or route.
func (e *examination) queues(ctx context.Context) (string, error) {
	api := sqs.NewFromConfig(e.Account.Config)
	for output, hint := range map[string]string{"DeadLettersUrl": "mayfly dlq list shows them", "QuarantineUrl": "mayfly quarantine list shows them"} {
		url := e.state.Outputs[output]
		out, err := api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages}})
		if err != nil {
			return "", err
		}
		if n := out.Attributes[string(sqstypes.QueueAttributeNameApproximateNumberOfMessages)]; n != "0" && n != "" {
			return "", warn(hint, "%s has %s messages", strings.TrimSuffix(output, "Url"), n)
		}
	}
	return "no dead letters, nothing in quarantine", nil
}

func (e *examination) alarms(ctx context.Context) (string, error) {
	var raised []string
	api := cloudwatch.NewFromConfig(e.Account.Config)
	for pages := cloudwatch.NewDescribeAlarmsPaginator(api, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(e.Stack.Name + "-"), StateValue: types.StateValueAlarm}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, a := range page.MetricAlarms {
			raised = append(raised, aws.ToString(a.AlarmName))
		}
	}
	if len(raised) > 0 {
		return "", warn("their descriptions on CloudWatch's console say what they mean", "raised: %s", strings.Join(raised, ", "))
	}
	return "none is raised", nil
}

func (e *examination) ping(ctx context.Context) (string, error) {
	if e.Ping == nil {
		return "", finding{Skipped, "webhook.at is not set", "set it to have the webhook tried"}
	}
	if err := e.Ping(ctx); err != nil {
		hint, _ := refusal.Of(err)
		return "", fail(hint, "%v", err)
	}
	return "GitHub's ping was answered", nil
}
