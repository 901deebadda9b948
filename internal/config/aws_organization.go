package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
)

// An Organization has what a company requires of everything in its AWS accounts.
type Organization struct {
	Tags           map[string]string `yaml:"tags" doc:"Tags for everything that is created, tasks, hosts and their disks included, such as {team: ci}."`
	Boundary       string            `yaml:"permissions_boundary" doc:"The ARN of an IAM policy that bounds every role."`
	RolePath       string            `yaml:"role_path" default:"/" doc:"The IAM path of all roles, such as /ci/."`
	CIDR           string            `yaml:"cidr" default:"10.77.0.0/16" doc:"The addresses of the stack's own VPC, with a prefix of 16 to 24 bits."`
	Zones          int               `yaml:"zones" default:"2" min:"1" doc:"In how many availability zones the stack's own VPC has subnets: 1 to 3."`
	SecurityGroups []string          `yaml:"security_groups" doc:"More security groups for hosts, for example one that a database admits. Needs vpc."`
}

// policyARN is the ARN of a managed policy.
var policyARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::(aws|\d{12}):policy/[\w+=,.@/-]+$`)

func (a AWS) checkOrganization(d *decoder) {
	for key, value := range a.Tags {
		// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
		if !regexp.MustCompile(`^[\w .:/=+@-]{1,128}$`).MatchString(key) || !regexp.MustCompile(`^[\w .:/=+@-]{0,256}$`).MatchString(value) ||
			regexp.MustCompile(`^(?i:aws:)|^mayfly:`).MatchString(key) {
			d.faultAt("aws.tags", "reading aws: tag %q: %q: want letters, digits, spaces and _.:/=+-@, and a key that does not begin with aws: or mayfly:", key, value)
		}
	}
	if len(a.Tags) > 40 {
		d.faultAt("aws.tags", "reading aws: %d tags: AWS has 50 for a resource, of which Mayfly and CloudFormation use some: want 40 at most", len(a.Tags))
	}
	if a.Boundary != "" && !policyARN.MatchString(a.Boundary) {
		d.faultAt("aws.permissions_boundary", "reading aws: permissions_boundary %q: want the ARN of an IAM policy, such as arn:aws:iam::123456789012:policy/boundary", a.Boundary)
	}
	if !regexp.MustCompile(`^/([\w+=,.@-]+/)*$`).MatchString(a.RolePath) || len(a.RolePath) > 128 {
		d.faultAt("aws.role_path", "reading aws: role_path %q: want a path between slashes, such as /ci/, of 128 characters at most", a.RolePath)
	}
	if n, err := netip.ParsePrefix(a.CIDR); err != nil || !n.Addr().Is4() || n.Bits() < 16 || n.Bits() > 24 || n.Masked() != n {
		d.faultAt("aws.cidr", "reading aws: cidr %q: want the first address of a network and a prefix of 16 to 24 bits, such as 10.77.0.0/16", a.CIDR)
	}
	if a.Zones > 3 {
		d.faultAt("aws.zones", "reading aws: zones %d: want 1 to 3", a.Zones)
	}
	if len(a.SecurityGroups) > 0 && a.VPC == "" {
		d.faultAt("aws.security_groups", "reading aws: security_groups without vpc: a group belongs to a VPC, and the one that the stack creates does not exist yet: set vpc and subnets")
	}
	for i, g := range a.SecurityGroups {
		if !regexp.MustCompile(`^sg-[0-9a-f]{8,17}$`).MatchString(g) || slices.Contains(a.SecurityGroups[:i], g) {
			d.faultAt(fmt.Sprintf("aws.security_groups[%d]", i), "reading aws: security group %q: want different ids such as sg-0123456789abcdef0", g)
		}
	}
	// https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
	if len(a.SecurityGroups) > 4 {
		d.faultAt("aws.security_groups", "reading aws: %d security_groups: a host has 5, one of them the stack's own: want 4 at most", len(a.SecurityGroups))
	}
}
