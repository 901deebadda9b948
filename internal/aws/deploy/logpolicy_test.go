package deploy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
)

// TestLogPolicies: where the account has all the policies it can have, the log of events is written by
// one of them, or the deploy stops before it makes anything.
func TestLogPolicies(t *testing.T) {
	cloud := awstest.Start(t)
	a := &deploy.Account{Config: cloud.Config, ID: awstest.Account, Caller: "arn:aws:iam::" + awstest.Account + ":user/a"}
	api := cloudwatchlogs.NewFromConfig(cloud.Config)
	put := func(name, resource, more string) {
		t.Helper()
		_, err := api.PutResourcePolicy(t.Context(), &cloudwatchlogs.PutResourcePolicyInput{PolicyName: &name, PolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["events.amazonaws.com","delivery.logs.amazonaws.com"]},"Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"` + resource + `"` + more + `}]}`)})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(which, fault string) {
		t.Helper()
		got, err := a.LogPolicy(t.Context(), "ci")
		if got != which || (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("%q, %v: want %q, %q", got, err, which, fault)
		}
	}
	everywhere := fmt.Sprintf("arn:aws:logs:%s:%s:log-group:", awstest.Region, awstest.Account)
	want("own", "")
	for i := range 9 {
		put(fmt.Sprintf("other-%d", i), everywhere+"/aws/vendedlogs/*", "")
	}
	want("own", "")
	put("other-9", everywhere+"/aws/events/*", `,"Condition":{"StringEquals":{"aws:SourceAccount":"1"}}`)
	want("", "none lets EventBridge write to /aws/events/ci")
	put("other-9", everywhere+"/aws/events/other:*", "")
	want("", "10 resource policies of CloudWatch Logs (other-0, ")
	put("other-9", everywhere+"/aws/events/*", "")
	want("shared", "")
	if _, err := api.DeleteResourcePolicy(t.Context(), &cloudwatchlogs.DeleteResourcePolicyInput{PolicyName: aws.String("other-0")}); err != nil {
		t.Fatal(err)
	}
	put("ci-events", everywhere+"/aws/events/ci:*", "")
	want("own", "") // it is the stack's
}
