package ec2

import "context"

// A Subnet is one of a VPC.
type Subnet struct {
	ID  string `xml:"subnetId"`
	VPC string `xml:"vpcId"`
}

// Subnets returns the subnets that filters keep.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html
func (c *Client) Subnets(ctx context.Context, filters ...Filter) (all []Subnet, err error) {
	err = list(ctx, c, "DescribeSubnets", filters, empty[subnets], func(p *subnets) { all = append(all, p.Items...) })
	return all, err
}

type subnets struct {
	token
	Items []Subnet `xml:"subnetSet>item"`
}

// A RouteTable says where packets of subnets go.
type RouteTable struct {
	Associations []Association `xml:"associationSet>item"`
	Routes       []Route       `xml:"routeSet>item"`
}

// An Association is of a route table with a subnet, or with the VPC, whose subnets have it when
// they have no other.
type Association struct {
	Subnet string `xml:"subnetId"` // "" for the VPC
	Main   bool   `xml:"main"`
}

// A Route leads what goes to an address somewhere.
type Route struct {
	Destination string `xml:"destinationCidrBlock"`
	Gateway     string `xml:"gatewayId"` // of the internet, such as igw-…; "" for other kinds
}

// RouteTables returns the route tables that filters keep.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html
func (c *Client) RouteTables(ctx context.Context, filters ...Filter) (all []RouteTable, err error) {
	err = list(ctx, c, "DescribeRouteTables", filters, empty[routeTables], func(p *routeTables) { all = append(all, p.Items...) })
	return all, err
}

type routeTables struct {
	token
	Items []RouteTable `xml:"routeTableSet>item"`
}

// Instances returns the ids of the instances that filters keep.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
func (c *Client) Instances(ctx context.Context, filters ...Filter) (ids []string, err error) {
	err = list(ctx, c, "DescribeInstances", filters, empty[reservations], func(p *reservations) { ids = append(ids, p.Instances...) })
	return ids, err
}

type reservations struct {
	token
	Instances []string `xml:"reservationSet>item>instancesSet>item>instanceId"`
}

// token is what each page says of the page after it.
type token struct {
	NextToken string `xml:"nextToken"`
}

func (t token) next() string { return t.NextToken }

func empty[P any]() *P { return new(P) }
