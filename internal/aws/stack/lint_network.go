package stack

import "slices"

// network checks a function in a VPC. There it has no public address, and its role needs permissions
// for the network interfaces that Lambda creates for it.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
func (l *linter) network(id string, p tree) {
	vpc := at(p, "VpcConfig")
	if vpc == nil {
		return
	}
	for _, action := range []string{"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces"} {
		if role := referred(p["Role"]); !slices.Contains(actionsOf(l.statements(role)), action) {
			l.fault(id, "in a VPC, and %s has no %s", role, action)
		}
	}
	for _, subnet := range list(vpc["SubnetIds"]) {
		if _, own := l.of(subnet, "AWS::EC2::Subnet"); own {
			l.fault(id, "in %s, which is public: a function has no public address, and so no way out there", referred(subnet))
		}
	}
	for _, g := range list(vpc["SecurityGroupIds"]) {
		group, _ := l.of(g, "AWS::EC2::SecurityGroup")
		if group["SecurityGroupIngress"] != nil {
			l.fault(id, "in a VPC, and %s lets something in: nothing calls a function there", referred(g))
		}
		l.reachesEndpoints(id, referred(g))
	}
}

// reachesEndpoints finds endpoints that do not admit a function's security group. Their private
// DNS names direct the function's calls to them, so it could not reach the service at all.
func (l *linter) reachesEndpoints(function, group string) {
	for id, r := range l.resources {
		if r.kind != "AWS::EC2::VPCEndpoint" {
			continue
		}
		lets := func(e any) bool {
			endpoint, _ := l.of(e, "AWS::EC2::SecurityGroup")
			return slices.ContainsFunc(trees(endpoint["SecurityGroupIngress"]), func(in tree) bool { return referred(in["SourceSecurityGroupId"]) == group })
		}
		if !slices.ContainsFunc(list(r.properties["SecurityGroupIds"]), lets) {
			l.fault(function, "%s does not let %s in: its service would be out of the function's reach", id, group)
		}
	}
}
