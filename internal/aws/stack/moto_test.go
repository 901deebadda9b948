package stack_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
)

// TestMotoMakesTheStack: moto makes every resource of the template, in a network of the
// stack's own or with functions in one that is there, but for the types that are known to be passed
// over in silence ([awstest.Absent]).
func TestMotoMakesTheStack(t *testing.T) {
	cloud := awstest.Start(t)
	bucket(t, cloud, "artifacts", "handlers.zip")
	network := cloud.Network(t)
	inside := fmt.Sprintf("vpc: %s, subnets: [%s], public_addresses: false, functions_in_vpc: true, vpc_endpoints: true", network.VPC, network.Subnet)
	want, made := map[string]string{}, map[string]bool{}
	for name, more := range map[string]string{"ci": "alarm_email: ops@example.com, hosts: {spot: true}", "inside": inside} {
		parameters := map[string]string{"ArtifactBucket": "artifacts", "WebhookKey": "handlers.zip", "HandlersKey": "handlers.zip"}
		if name == "inside" { // of a default, moto makes no list
			parameters["SubnetIds"] = network.Subnet
		}
		body := render(t, settings(t, "stack: "+name+", "+more, mixed))
		kinds, err := stack.Resources(body)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(want, kinds)
		for _, id := range makeStack(t, cloud, name, body, parameters) {
			made[id] = true
		}
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
	for name, in := range map[string]bool{"inside-claim": true, "inside-sweep": true, "inside-webhook": false, "ci-claim": false} {
		f, err := lambda.NewFromConfig(cloud.Config).GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if is := f.VpcConfig != nil && slices.Equal(f.VpcConfig.SubnetIds, []string{network.Subnet}); is != in {
			t.Errorf("%s: network %+v: want it in subnet %s: %t", name, f.VpcConfig, network.Subnet, in)
		}
	}
}

// makeStack makes a stack and returns the logical ids of what is there then.
func makeStack(t *testing.T, cloud *awstest.Cloud, name string, body []byte, parameters map[string]string) (ids []string) {
	t.Helper()
	api := cloudformation.NewFromConfig(cloud.Config)
	in := &cloudformation.CreateStackInput{
		StackName: &name, TemplateBody: aws.String(string(body)), Capabilities: []types.Capability{types.CapabilityCapabilityIam},
	}
	for key, value := range parameters {
		in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: &key, ParameterValue: &value})
	}
	if _, err := api.CreateStack(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	for pages := cloudformation.NewListStackResourcesPaginator(api, &cloudformation.ListStackResourcesInput{StackName: &name}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.StackResourceSummaries {
			ids = append(ids, aws.ToString(r.LogicalResourceId))
		}
	}
	return ids
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
