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

// A Network is an existing VPC for hosts, and for functions that must be in a VPC. The zero value is
// the VPC that the stack creates, which needs no check.
type Network struct {
	VPC       string
	Subnets   []string
	PublicIPs bool // whether hosts get public addresses
}

// Check reports a subnet that does not exist, or from which hosts or functions could not reach the
// internet.
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

// vpcsOf returns the VPC of each subnet that exists.
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

// wayOut finds subnets whose default route is an internet gateway, which is useless without a public
// address. It does not judge other routes, such as a transit gateway.
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

// gatewayOf returns the id of the internet gateway, or of another gateway, in a table's default route, or
// "" for other routes.
func gatewayOf(t ec2.RouteTable) string {
	for _, r := range t.Routes {
		if r.Destination == "0.0.0.0/0" {
			return r.Gateway
		}
	}
	return ""
}
