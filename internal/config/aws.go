package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Where mayfly runs.
const (
	PlatformMachine = "machine"
	PlatformAWS     = "aws"
)

// The architectures of pools on AWS, as Go and container images call them.
const (
	AMD64 = "amd64"
	ARM64 = "arm64"
)

// AWS describes the stack on AWS. Credentials are never here: they are found the way AWS's
// own tools find them.
type AWS struct {
	Region         string   `yaml:"region" doc:"The region, such as eu-central-1. By default AWS_REGION or the profile's region."`
	Stack          string   `yaml:"stack" default:"mayfly" doc:"The stack's name, and the prefix of all its resources: a-z, 0-9 and single dashes, at most 20 characters."`
	Source         string   `yaml:"source" default:"codecommit" enum:"codecommit|s3" doc:"Where to keep the source of the runner image: in a CodeCommit repository, or as a zip in S3 for accounts without CodeCommit."`
	VPC            string   `yaml:"vpc" doc:"An existing VPC for the hosts. By default the stack creates a small one with public subnets, at no cost."`
	Subnets        []string `yaml:"subnets" doc:"The subnets of vpc for hosts. They need a route to GitHub and to AWS."`
	PublicIPs      bool     `yaml:"public_addresses" default:"true" doc:"Give hosts public addresses, which they need without a NAT gateway. Inbound traffic is blocked either way."`
	FunctionsInVPC bool     `yaml:"functions_in_vpc" default:"false" doc:"Run the functions that call GitHub in the subnets, for an Enterprise Server on a private network. Functions have no public addresses: set public_addresses to false, and route the subnets through a NAT gateway."`
	Endpoints      bool     `yaml:"vpc_endpoints" default:"false" doc:"Create VPC endpoints, so that hosts reach ECR, ECS and the logs, and functions in the VPC reach AWS's APIs, without leaving AWS's network. They cost by the hour; see docs/aws.md."`
	RetentionDays  int      `yaml:"retention_days" default:"30" doc:"How many days to keep the archive of events and the logs: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180 or 365."`
	Email          string   `yaml:"alarm_email" doc:"The address that receives alarms."`
	QuietHours     int      `yaml:"alarm_quiet_hours" default:"72" min:"0" doc:"Raise an alarm after so many hours without a delivery from GitHub: 1 to 168, or 0 for no such alarm."`
	Archive        bool     `yaml:"archive" default:"true" doc:"Keep events in an EventBridge archive, from which mayfly replay repeats them."`
	Schemas        bool     `yaml:"schemas" default:"true" doc:"Discover schemas of events. Some regions have no schema discovery; mayfly deploy says so."`
	Reserved       Reserved `yaml:"reserved_concurrency" doc:"How many calls of a function can always run at once, and at most. See docs/aws.md."`
	Organization
	Hosts Hosts `yaml:"hosts" doc:"The EC2 instances for runners, for each architecture that a pool uses."`
}

// Reserved is the reserved concurrency of functions; 0 reserves nothing.
//
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
type Reserved struct {
	Webhook int `yaml:"webhook" min:"0" default:"0" doc:"Of the webhook, which answers GitHub's deliveries: 20 answer 200 deliveries a second."`
	Claim   int `yaml:"claim" min:"0" default:"0" doc:"Of the claim function, which runners call as they start and end. A call is a few hundred milliseconds, as long as GitHub takes."`
}

// maxStackName leaves room for the longest name derived from it: S3 allows 63 characters
// for STACK-artifacts-ACCOUNT-REGION.
const maxStackName = 20

// CheckStackName reports what is wrong with the name of a stack. CloudFormation allows more
// than the services whose resources are named after the stack: ECR requires lower case and
// single dashes, and the name of a capacity provider must not begin with aws, ecs or fargate.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html
func CheckStackName(name string) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`).MatchString(name) || len(name) > maxStackName {
		return fmt.Errorf("stack name %q: want a-z, 0-9 and single dashes, a letter first, %d characters at most", name, maxStackName)
	}
	for _, taken := range []string{"aws", "ecs", "fargate"} {
		if strings.HasPrefix(name, taken) {
			return fmt.Errorf("stack name %q: ECS reserves names that begin with %s: choose another one", name, taken)
		}
	}
	return nil
}

// CheckAWS checks the file for a deployment to AWS, whatever platform it names. It returns
// nil if nothing is wrong.
func (c *Config) CheckAWS() Faults {
	d := &decoder{file: c.path, positions: c.positions}
	c.checkAWS(d)
	return d.faults.sorted()
}

func (c *Config) checkAWS(d *decoder) {
	a := c.AWS
	if err := CheckStackName(a.Stack); err != nil {
		d.faultAt("aws.stack", "reading aws: %v", err)
	}
	if a.Region != "" && !regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`).MatchString(a.Region) {
		d.faultAt("aws.region", "reading aws: region %q: want one such as eu-central-1", a.Region)
	}
	if !slices.Contains(retentions(), a.RetentionDays) {
		d.faultAt("aws.retention_days", "reading aws: retention_days %d: want a number of days that CloudWatch Logs has: %v", a.RetentionDays, retentions())
	}
	if a.Email != "" && !regexp.MustCompile(`^[^@\s]+@[^@\s]+$`).MatchString(a.Email) {
		d.faultAt("aws.alarm_email", "reading aws: alarm_email %q: want an address", a.Email)
	}
	a.checkNetwork(d)
	a.checkOrganization(d)
	if a.QuietHours > 168 {
		d.faultAt("aws.alarm_quiet_hours", "reading aws: alarm_quiet_hours %d: CloudWatch looks back 7 days at most: want 0 to 168", a.QuietHours)
	}
	a.Hosts.check(d)
	for i, p := range c.Pools {
		p.checkAWS(d, fmt.Sprintf("pools[%d]", i))
	}
}

// retentions are the retention periods of a log group, in days, up to a year.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
func retentions() []int { return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365} }

func (a AWS) checkNetwork(d *decoder) {
	if (a.VPC == "") != (len(a.Subnets) == 0) {
		d.faultAt("aws", "reading aws: vpc and subnets belong together: set both, or neither for a VPC that the stack creates")
	}
	if a.VPC != "" && !regexp.MustCompile(`^vpc-[0-9a-f]{8,17}$`).MatchString(a.VPC) {
		d.faultAt("aws.vpc", "reading aws: vpc %q: want an id such as vpc-0123456789abcdef0", a.VPC)
	}
	for i, s := range a.Subnets {
		if !regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`).MatchString(s) || slices.Contains(a.Subnets[:i], s) {
			d.faultAt(fmt.Sprintf("aws.subnets[%d]", i), "reading aws: subnet %q: want different ids such as subnet-0123456789abcdef0", s)
		}
	}
	if a.VPC == "" && !a.PublicIPs {
		d.faultAt("aws.public_addresses", "reading aws: public_addresses false without vpc: the VPC that the stack creates has no other route to the internet")
	}
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc-internet.html
	switch {
	case a.FunctionsInVPC && a.VPC == "":
		d.faultAt("aws.functions_in_vpc", "reading aws: functions_in_vpc without vpc: the VPC that the stack creates has only public subnets, where a function has no public address and so no route to the internet: set vpc, and subnets with a NAT gateway")
	case a.FunctionsInVPC && a.PublicIPs:
		d.faultAt("aws.functions_in_vpc", "reading aws: functions_in_vpc with public_addresses: in subnets where hosts need public addresses a function has no route to the internet: set public_addresses: false, and subnets with a NAT gateway")
	}
}

// checkAWS finds settings of a pool that ECS does not support, or that would break a promise there.
func (p Pool) checkAWS(d *decoder, at string) {
	in := fmt.Sprintf("reading pool %q: ", p.Name)
	switch p.Network {
	case "host":
		d.faultAt(at+".network", "%snetwork host is not supported on AWS, because jobs would get their host's credentials: want own", in)
	case "none":
		d.faultAt(at+".network", "%snetwork none is not supported on AWS, because runners claim over the network: want own", in)
	}
	p.checkIsolationOnAWS(d, at)
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters_ec2.html
	if p.CPUs < 0.125 || p.CPUs > 192 {
		d.faultAt(at+".cpus", "%scpus %v: want 0.125 to 192, the limits of ECS", in, p.CPUs)
	}
	if p.Memory < 4<<20 || p.Memory%(1<<20) != 0 {
		d.faultAt(at+".memory", "%smemory %v: want a whole number of MiB, the unit of ECS, and at least 4MiB", in, p.Memory)
	}
	p.checkSetupOnAWS(d, at)
	for i, arn := range p.AWS.Policies {
		if !policyARN.MatchString(arn) {
			d.faultAt(fmt.Sprintf("%s.aws.policies[%d]", at, i), "%spolicy %q: want the ARN of an IAM policy, such as arn:aws:iam::123456789012:policy/deploy-web", in, arn)
		}
	}
	if p.AWS.Exec && p.ReadOnlyRoot {
		d.faultAt(at+".aws.exec", "%sexec with read_only_root: ECS Exec writes to the container's root: set only one of them", in)
	}
	p.AWS.Hosts.check(d, at+".aws.hosts", in, p.AWS.Architecture)
}
