// Command generate writes the table of properties that CloudFormation cannot change in place,
// updates.txt of package awstest, from the schemas of AWS's resources that cfn-lint ships (MIT-0):
//
//	go run ./internal/aws/awstest/generate "$(python3 -c 'import cfnlint; print(cfnlint.__path__[0])')" "$(cfn-lint --version)" >internal/aws/awstest/updates.txt
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// types are those that a template of aws/stack may have.
var types = strings.Fields(`
	AWS::AutoScaling::AutoScalingGroup AWS::AutoScaling::ScheduledAction AWS::AutoScaling::WarmPool AWS::CloudWatch::Alarm AWS::CloudWatch::Dashboard
	AWS::CodeBuild::Project AWS::CodeCommit::Repository AWS::DynamoDB::Table AWS::EC2::InternetGateway AWS::EC2::LaunchTemplate AWS::EC2::Route
	AWS::EC2::RouteTable AWS::EC2::SecurityGroup AWS::EC2::Subnet AWS::EC2::SubnetRouteTableAssociation AWS::EC2::VPC AWS::EC2::VPCEndpoint
	AWS::EC2::VPCGatewayAttachment AWS::ECR::Repository AWS::ECS::CapacityProvider AWS::ECS::Cluster AWS::ECS::ClusterCapacityProviderAssociations
	AWS::ECS::TaskDefinition AWS::EventSchemas::Discoverer AWS::Events::Archive AWS::Events::EventBus AWS::Events::Rule AWS::IAM::InstanceProfile
	AWS::IAM::Policy AWS::IAM::Role AWS::Lambda::EventSourceMapping AWS::Lambda::Function AWS::Lambda::Permission AWS::Lambda::Url AWS::Logs::LogGroup
	AWS::Logs::ResourcePolicy AWS::SNS::Topic AWS::SQS::Queue AWS::SQS::QueuePolicy AWS::SecretsManager::Secret`)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generate FOLDER VERSION, of cfn-lint")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(out io.Writer, folder, version string) error {
	region, err := os.ReadFile(filepath.Join(folder, "data/schemas/providers/us_east_1.py"))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "# What CloudFormation replaces a resource for: TYPE, then properties that can only be set at its creation.\n"+
		"# Those after | only sometimes. From the resource schemas in %s (MIT-0).\n", version)
	for _, name := range types {
		file := regexp.MustCompile(`"` + name + `": "([0-9a-f]+)"`).FindSubmatch(region)
		if file == nil {
			return fmt.Errorf("%s: no schema", name)
		}
		body, err := os.ReadFile(filepath.Join(folder, "data/schemas/resources", string(file[1])+".json"))
		if err != nil {
			return err
		}
		var schema struct{ CreateOnlyProperties, ConditionalCreateOnlyProperties []string }
		if err := json.Unmarshal(body, &schema); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintln(out, strings.TrimRight(name+" "+paths(schema.CreateOnlyProperties)+"| "+paths(schema.ConditionalCreateOnlyProperties), "| "))
	}
	return nil
}

// paths are properties without their prefix, each with a space after it.
func paths(properties []string) (line string) {
	slices.Sort(properties)
	for _, p := range properties {
		line += strings.TrimPrefix(p, "/properties/") + " "
	}
	return line
}
