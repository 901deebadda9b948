package deploy_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// A site is a VPC with a public and a private subnet, and one without a route table of its
// own, beside moto's default one.
type site struct{ vpc, gateway, public, private, plain, foreign string }

var anywhere = aws.String("0.0.0.0/0")

func newSite(t *testing.T, cloud *awstest.Cloud) site {
	t.Helper()
	api := ec2.NewFromConfig(cloud.Config)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	vpc, err := api.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.1.0.0/16")})
	must(err)
	s := site{vpc: aws.ToString(vpc.Vpc.VpcId), foreign: cloud.Network(t).Subnet}
	for cidr, id := range map[string]*string{"10.1.0.0/24": &s.public, "10.1.1.0/24": &s.private, "10.1.2.0/24": &s.plain} {
		out, err := api.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: &s.vpc, CidrBlock: &cidr})
		must(err)
		*id = aws.ToString(out.Subnet.SubnetId)
	}
	gateway, err := api.CreateInternetGateway(t.Context(), &ec2.CreateInternetGatewayInput{})
	must(err)
	s.gateway = aws.ToString(gateway.InternetGateway.InternetGatewayId)
	_, err = api.AttachInternetGateway(t.Context(), &ec2.AttachInternetGatewayInput{VpcId: &s.vpc, InternetGatewayId: &s.gateway})
	must(err)
	nat, err := api.CreateNatGateway(t.Context(), &ec2.CreateNatGatewayInput{SubnetId: &s.public})
	must(err)
	route := func(subnet string, r ec2.CreateRouteInput) {
		table, err := api.CreateRouteTable(t.Context(), &ec2.CreateRouteTableInput{VpcId: &s.vpc})
		must(err)
		_, err = api.AssociateRouteTable(t.Context(), &ec2.AssociateRouteTableInput{RouteTableId: table.RouteTable.RouteTableId, SubnetId: &subnet})
		must(err)
		r.RouteTableId, r.DestinationCidrBlock = table.RouteTable.RouteTableId, anywhere
		_, err = api.CreateRoute(t.Context(), &r)
		must(err)
	}
	route(s.public, ec2.CreateRouteInput{GatewayId: &s.gateway})
	route(s.private, ec2.CreateRouteInput{NatGatewayId: nat.NatGateway.NatGatewayId})
	return s
}

// openMain leads the VPC's main route table to the internet gateway, too.
func (s site) openMain(t *testing.T, cloud *awstest.Cloud) {
	t.Helper()
	api := ec2.NewFromConfig(cloud.Config)
	out, err := api.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{Filters: []types.Filter{
		{Name: aws.String("vpc-id"), Values: []string{s.vpc}}, {Name: aws.String("association.main"), Values: []string{"true"}},
	}})
	if err != nil || len(out.RouteTables) != 1 {
		t.Fatalf("main route table: %+v, %v", out, err)
	}
	if _, err := api.CreateRoute(t.Context(), &ec2.CreateRouteInput{RouteTableId: out.RouteTables[0].RouteTableId, DestinationCidrBlock: anywhere, GatewayId: &s.gateway}); err != nil {
		t.Fatal(err)
	}
}

// TestNetworkIsChecked: a subnet that is not there, is elsewhere, or has no way out, is found
// before anything is made.
func TestNetworkIsChecked(t *testing.T) {
	cloud := awstest.Start(t)
	s := newSite(t, cloud)
	check := func(name string, n deploy.Network, want string) {
		t.Helper()
		err := n.Check(t.Context(), cloud.Config)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if err != nil {
			if hint, _ := refusal.Of(err); hint == "" {
				t.Errorf("%s: %v: no hint", name, err)
			}
		}
	}
	check("the stack's own", deploy.Network{}, "")
	check("public", deploy.Network{VPC: s.vpc, Subnets: []string{s.public, s.plain}, PublicIPs: true}, "")
	check("private", deploy.Network{VPC: s.vpc, Subnets: []string{s.private, s.plain}}, "")
	check("nowhere", deploy.Network{VPC: s.vpc, Subnets: []string{s.private, "subnet-0123456789abcdef0"}}, "subnet-0123456789abcdef0 is not there, in region "+awstest.Region)
	check("elsewhere", deploy.Network{VPC: s.vpc, Subnets: []string{s.foreign}, PublicIPs: true}, "and aws.vpc is "+s.vpc)
	check("no way out", deploy.Network{VPC: s.vpc, Subnets: []string{s.private, s.public}}, "the way out of "+s.public+" is the internet gateway igw-")
	s.openMain(t, cloud)
	check("no way out by the main route table", deploy.Network{VPC: s.vpc, Subnets: []string{s.private, s.plain}}, "the way out of "+s.plain+" is the internet gateway igw-")
}
