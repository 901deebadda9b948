package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
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

// AWS says what the stack on AWS is to be. Credentials are never here: they are found
// as AWS's own tools find them.
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
	Hosts          Hosts    `yaml:"hosts" doc:"The EC2 instances for runners, for each architecture that a pool uses."`
}

// Hosts are the EC2 instances of an architecture.
type Hosts struct {
	AMD64Types   []string `yaml:"amd64_types" default:"m7i.large, m7a.large, m6i.large" doc:"Instance types, preferred ones first. Use one size: ECS plans with the smallest."`
	ARM64Types   []string `yaml:"arm64_types" default:"m7g.large, m6g.large" doc:"The same, for arm64."`
	Min          int      `yaml:"min" min:"0" default:"0" doc:"How many hosts of each architecture always run. They cost by the hour, but jobs on them start in seconds instead of minutes."`
	Max          int      `yaml:"max" min:"1" default:"10" doc:"The most hosts of each architecture at once."`
	Spot         bool     `yaml:"spot" default:"false" doc:"Use spot capacity above on_demand_base. It costs less, but AWS may end a host and its jobs at two minutes' notice."`
	OnDemandBase int      `yaml:"on_demand_base" min:"0" default:"0" doc:"With spot: how many hosts are on-demand before the first spot host."`
	Disk         Bytes    `yaml:"disk" default:"50GiB" doc:"The size of a host's encrypted disk, for images and for data of jobs."`
}

// Types returns the instance types of an architecture.
func (h Hosts) Types(architecture string) []string {
	if architecture == ARM64 {
		return h.ARM64Types
	}
	return h.AMD64Types
}

// PoolOnAWS is what a pool has on AWS only.
type PoolOnAWS struct {
	Architecture string   `yaml:"architecture" default:"amd64" enum:"amd64|arm64" doc:"The processor architecture of the pool's hosts."`
	Policies     []string `yaml:"policies" doc:"ARNs of IAM policies for the pool's jobs. By default jobs may do nothing on AWS."`
}

// maxStackName leaves room for what is added to it: S3 allows 63 characters for
// STACK-artifacts-ACCOUNT-REGION.
const maxStackName = 20

// CheckStackName says what is wrong with the name of a stack. CloudFormation would
// take more than the names that the stack's parts may have: ECR wants lower case and
// single dashes, and a capacity provider must not begin with aws, ecs or fargate.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html
func CheckStackName(name string) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`).MatchString(name) || len(name) > maxStackName {
		return fmt.Errorf("stack name %q: want a-z, 0-9 and single dashes, a letter first, %d characters at most", name, maxStackName)
	}
	for _, taken := range []string{"aws", "ecs", "fargate"} {
		if strings.HasPrefix(name, taken) {
			return fmt.Errorf("stack name %q: it begins with %s, which ECS keeps to itself: want another beginning", name, taken)
		}
	}
	return nil
}

// CheckAWS returns what is wrong with the file if it is to be brought up on AWS,
// whatever platform it names; nil when nothing is.
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
	a.Hosts.check(d)
	for i, p := range c.Pools {
		p.checkAWS(d, fmt.Sprintf("pools[%d]", i))
	}
}

// retentions are the days that a log group can keep its events, as far as anyone
// needs. https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
func retentions() []int { return []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365} }

func (a AWS) checkNetwork(d *decoder) {
	if (a.VPC == "") != (len(a.Subnets) == 0) {
		d.faultAt("aws", "reading aws: one of vpc and subnets without the other: want both, or neither for a VPC of the stack's own")
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
		d.faultAt("aws.public_addresses", "reading aws: public_addresses false without vpc: the stack's own VPC has no other way out")
	}
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc-internet.html
	switch {
	case a.FunctionsInVPC && a.VPC == "":
		d.faultAt("aws.functions_in_vpc", "reading aws: functions_in_vpc without vpc: the stack's own VPC has public subnets only, in which a function has no public address and no way out: want vpc and subnets that have a NAT gateway")
	case a.FunctionsInVPC && a.PublicIPs:
		d.faultAt("aws.functions_in_vpc", "reading aws: functions_in_vpc with public_addresses: subnets where hosts need these have no way out for a function: want public_addresses: false, and subnets that have a NAT gateway")
	}
}

// leastDisk is what the image of an ECS host takes.
const leastDisk = 30 << 30

func (h Hosts) check(d *decoder) {
	if h.Min > h.Max {
		d.faultAt("aws.hosts.min", "reading aws.hosts: min %d is more than max %d", h.Min, h.Max)
	}
	if h.OnDemandBase > h.Max {
		d.faultAt("aws.hosts.on_demand_base", "reading aws.hosts: on_demand_base %d is more than max %d", h.OnDemandBase, h.Max)
	}
	if h.Disk < leastDisk || h.Disk%(1<<30) != 0 {
		d.faultAt("aws.hosts.disk", "reading aws.hosts: disk %v: want whole GiB, %v at least", h.Disk, Bytes(leastDisk))
	}
	for _, architecture := range []string{AMD64, ARM64} {
		at, types := "aws.hosts."+architecture+"_types", h.Types(architecture)
		if len(types) == 0 {
			d.faultAt(at, "reading aws.hosts: %s_types is empty: want one at least", architecture)
		}
		for i, t := range types {
			if of, ok := architectureOf(t); !ok || of != architecture || slices.Contains(types[:i], t) {
				d.faultAt(fmt.Sprintf("%s[%d]", at, i), "reading aws.hosts: %s_types %q: want different types for %s", architecture, t, architecture)
			}
		}
	}
}

// checkAWS finds what ECS has not, or what would undo a promise there.
func (p Pool) checkAWS(d *decoder, at string) {
	in := fmt.Sprintf("reading pool %q: ", p.Name)
	switch p.Network {
	case "host":
		d.faultAt(at+".network", "%snetwork host: on AWS a job would have its host's credentials: want own", in)
	case "none":
		d.faultAt(at+".network", "%snetwork none: on AWS a runner claims over the network: want own", in)
	}
	p.checkIsolationOnAWS(d, at)
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters_ec2.html
	if p.CPUs < 0.125 || p.CPUs > 192 {
		d.faultAt(at+".cpus", "%scpus %v: ECS has 0.125 to 192", in, p.CPUs)
	}
	if p.Memory < 4<<20 || p.Memory%(1<<20) != 0 {
		d.faultAt(at+".memory", "%smemory %v: ECS counts in MiB: want whole ones", in, p.Memory)
	}
	p.checkSetupOnAWS(d, at)
	for i, arn := range p.AWS.Policies {
		if !regexp.MustCompile(`^arn:aws[a-z-]*:iam::(aws|\d{12}):policy/[\w+=,.@/-]+$`).MatchString(arn) {
			d.faultAt(fmt.Sprintf("%s.aws.policies[%d]", at, i), "%spolicy %q: want the ARN of an IAM policy, such as arn:aws:iam::123456789012:policy/deploy-web", in, arn)
		}
	}
}

// instanceType takes a type apart: m7g.xlarge is family m, 7, attributes g, size xlarge.
var instanceType = regexp.MustCompile(`^([a-z]+)(\d+)([a-z-]*)\.(\d*)([a-z]+)(-\d+xl)?$`)

// architectureOf tells the architecture of an instance type by its name, in which
// a g after the number stands for Graviton.
// https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
func architectureOf(name string) (string, bool) {
	m := instanceType.FindStringSubmatch(name)
	switch {
	case m == nil:
		return "", false
	case strings.Contains(m[3], "g") || m[1]+m[2] == "a1":
		return ARM64, true
	}
	return AMD64, true
}

// sizeOf tells what an instance type of the common families has, by its name: c has
// 2 GiB for each processor, m has 4 and r has 8.
func sizeOf(name string) (pool.Resources, bool) {
	m := instanceType.FindStringSubmatch(name)
	if m == nil {
		return pool.Resources{}, false
	}
	memory, known := map[string]int64{"c": 2, "m": 4, "r": 8}[m[1]]
	var cpus int64
	switch times, err := strconv.ParseInt(m[4], 10, 16); {
	case m[5] == "xlarge" && err == nil:
		cpus = 4 * times
	case m[5] == "xlarge":
		cpus = 4
	case m[5] == "large":
		cpus = 2
	case m[5] == "medium":
		cpus = 1
	}
	return pool.Resources{CPUs: float64(cpus), Memory: cpus * memory << 30}, known && cpus > 0
}
