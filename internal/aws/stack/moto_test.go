package stack_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
)

// TestMotoMakesTheStack: moto makes a resource of every type in the template, but for
// those that are known to be passed over in silence ([awstest.Absent]).
func TestMotoMakesTheStack(t *testing.T) {
	cloud := awstest.Start(t)
	body := render(t, settings(t, "alarm_email: ops@example.com, hosts: {spot: true}", mixed))
	bucket(t, cloud, "artifacts", "handlers.zip")
	api := cloudformation.NewFromConfig(cloud.Config)
	_, err := api.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: sdk.String("ci"), TemplateBody: sdk.String(string(body)), Capabilities: []types.Capability{types.CapabilityCapabilityIam},
		Parameters: []types.Parameter{
			{ParameterKey: sdk.String("ArtifactBucket"), ParameterValue: sdk.String("artifacts")},
			{ParameterKey: sdk.String("WebhookKey"), ParameterValue: sdk.String("handlers.zip")},
			{ParameterKey: sdk.String("HandlersKey"), ParameterValue: sdk.String("handlers.zip")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for pages := cloudformation.NewListStackResourcesPaginator(api, &cloudformation.ListStackResourcesInput{StackName: sdk.String("ci")}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.StackResourceSummaries {
			made[sdk.ToString(r.LogicalResourceId)] = true
		}
	}
	want, err := stack.Resources(body)
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for id, kind := range want {
		if !made[id] {
			missing[kind] = true
		}
	}
	if diff := cmp.Diff(awstest.Absent(), slices.Sorted(maps.Keys(missing))); diff != "" {
		t.Errorf("types that moto passed over (-known +now):\n%s", diff)
	}
}

// bucket makes a bucket with an object in it, which is no zip of anything.
func bucket(t *testing.T, cloud *awstest.Cloud, name, key string) {
	t.Helper()
	api := s3.NewFromConfig(cloud.Config, func(o *s3.Options) { o.UsePathStyle = true })
	_, err := api.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: &name, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: awstest.Region},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: &key, Body: strings.NewReader("zip")}); err != nil {
		t.Fatal(err)
	}
}
