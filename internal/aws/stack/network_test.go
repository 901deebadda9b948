package stack_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/config"
)

// properties returns the properties of each resource of a type, by logical id.
func properties(t *testing.T, s stack.Settings, kind string) map[string]map[string]any {
	t.Helper()
	template, err := stack.Read(render(t, s))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]any{}
	for id, r := range template["Resources"].(map[string]any) {
		if r := r.(map[string]any); r["Type"] == kind {
			all[id] = r["Properties"].(map[string]any)
		}
	}
	return all
}

// TestFunctionsInVPC: those that call GitHub are in the VPC when that is asked for, and no
// other ever is.
func TestFunctionsInVPC(t *testing.T) {
	for more, want := range map[string][]string{"": nil, inVPC: {"ClaimFunction", "SweepFunction"}} {
		var inside []string
		for id, p := range properties(t, settings(t, more, small), "AWS::Lambda::Function") {
			if p["VpcConfig"] != nil {
				inside = append(inside, id)
			}
		}
		slices.Sort(inside)
		if diff := cmp.Diff(want, inside); diff != "" {
			t.Errorf("%q: functions in the VPC (-want +got):\n%s", more, diff)
		}
	}
}

// TestEndpoints: what hosts call has an endpoint, and what functions in the VPC call.
func TestEndpoints(t *testing.T) {
	hosts := []string{"EndpointEcrApi", "EndpointEcrDkr", "EndpointEcs", "EndpointEcsAgent", "EndpointEcsTelemetry", "EndpointLogs"}
	for more, want := range map[string][]string{
		"":                    nil,
		"vpc_endpoints: true": hosts,
		inVPC:                 append(slices.Clone(hosts), "EndpointEvents", "EndpointSecretsManager", "EndpointSqs"),
	} {
		var got []string
		for id := range properties(t, settings(t, more, small), "AWS::EC2::VPCEndpoint") {
			got = append(got, id)
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", more, diff)
		}
	}
}

// TestEndpointsOfFunctions: whatever a function in the VPC calls has an endpoint, but for
// DynamoDB, whose gateway is not the stack's to make.
func TestEndpointsOfFunctions(t *testing.T) {
	there := []string{"dynamodb"}
	for _, p := range properties(t, settings(t, inVPC, small), "AWS::EC2::VPCEndpoint") {
		name := p["ServiceName"].(map[string]any)["Fn::Sub"].(string)
		there = append(there, strings.TrimPrefix(name, "com.amazonaws.${AWS::Region}."))
	}
	for handler, calls := range awstest.Calls() {
		for _, call := range calls {
			if service, _, _ := strings.Cut(call, ":"); awstest.GivenInVPC(handler) != nil && !slices.Contains(there, service) {
				t.Errorf("%s calls %s, and there is no endpoint for that: %v", handler, call, there)
			}
		}
	}
}

// TestPortsOfFunctions: a function in the VPC gets to GitHub where that listens, to AWS and to
// servers of names.
func TestPortsOfFunctions(t *testing.T) {
	for url, want := range map[string][]uint64{
		"https://ghe.example.com": {443, 53, 53}, "https://ghe.example.com:443": {443, 53, 53}, "https://ghe.example.com:8443": {443, 8443, 53, 53},
	} {
		c, err := config.Parse("mayfly.yaml", []byte("github: {url: '"+url+"', token: env:T}\nwebhook: {at: acme, secrets: [env:S]}\naws: {"+inVPC+"}\npools:\n"+small))
		if err != nil {
			t.Fatal(err)
		}
		s, err := stack.Of(c)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, rule := range properties(t, s, "AWS::EC2::SecurityGroup")["FunctionSecurityGroup"]["SecurityGroupEgress"].([]any) {
			got = append(got, rule.(map[string]any)["ToPort"].(uint64))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: ports (-want +got):\n%s", url, diff)
		}
	}
}
