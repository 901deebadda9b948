package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mayfly-ci/mayfly/internal/aws/ec2"
	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// A Network is where hosts are to start, and functions that are to be in a VPC. The zero
// value is the stack's own, of which there is nothing to check.
type Network struct {
	VPC       string
	Subnets   []string
	PublicIPs bool // hosts get public addresses
}

// Check says what is wrong with n: that a subnet is not there, or that nothing in it would
// have a way out.
func (n Network) Check(ctx context.Context, c aws.Config) error {
	if n.VPC == "" {
		return nil
	}
	api := ec2.New(c)
	of, err := vpcsOf(ctx, api, n.Subnets)
	if err != nil {
		return err
	}
	for _, id := range n.Subnets {
		switch vpc, there := of[id]; {
		case !there:
			return refusal.New(fmt.Errorf("aws.subnets: %s is not there, in region %s", id, c.Region), "aws ec2 describe-subnets --filters Name=vpc-id,Values=%s lists those of aws.vpc", n.VPC)
		case vpc != n.VPC:
			return refusal.New(fmt.Errorf("aws.subnets: %s is in %s, and aws.vpc is %s", id, vpc, n.VPC), "name subnets of aws.vpc")
		}
	}
	if n.PublicIPs {
		return nil
	}
	return n.wayOut(ctx, api)
}

// vpcsOf returns whose the subnets are, of those that are there.
func vpcsOf(ctx context.Context, api *ec2.Client, subnets []string) (map[string]string, error) {
	found, err := api.Subnets(ctx, ec2.Filter{Name: "subnet-id", Values: subnets})
	if err != nil {
		return nil, fmt.Errorf("subnets %s: %w", strings.Join(subnets, ", "), err)
	}
	of := map[string]string{}
	for _, s := range found {
		of[s.ID] = s.VPC
	}
	return of, nil
}

// wayOut finds subnets whose way out is an internet gateway, which is none for what has no
// public address. Other ways, such as a transit gateway, are not judged.
func (n Network) wayOut(ctx context.Context, api *ec2.Client) error {
	tables, err := api.RouteTables(ctx, ec2.Filter{Name: "vpc-id", Values: []string{n.VPC}})
	if err != nil {
		return fmt.Errorf("route tables of %s: %w", n.VPC, err)
	}
	gateways := map[string]string{} // by subnet; "" for those without a route table of their own
	for _, table := range tables {
		for _, a := range table.Associations {
			if a.Subnet != "" || a.Main {
				gateways[a.Subnet] = gatewayOf(table)
			}
		}
	}
	for _, id := range n.Subnets {
		gateway, own := gateways[id]
		if !own {
			gateway = gateways[""]
		}
		if strings.HasPrefix(gateway, "igw-") {
			return refusal.New(errors.New("aws.subnets: the way out of "+id+" is the internet gateway "+gateway+", which takes nothing without a public address"),
				"name subnets whose default route is a NAT gateway; or, without functions_in_vpc, set aws.public_addresses: true")
		}
	}
	return nil
}

// gatewayOf returns the internet gateway, or what else has a gateway's id, that a table's default
// route leads to; "" for others.
func gatewayOf(t ec2.RouteTable) string {
	for _, r := range t.Routes {
		if r.Destination == "0.0.0.0/0" {
			return r.Gateway
		}
	}
	return ""
}
