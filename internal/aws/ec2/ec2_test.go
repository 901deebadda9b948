package ec2_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/ec2"
	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// start returns a client of a server that answers with answers, one after the other, and what
// that server was asked.
func start(t *testing.T, answers ...func(http.ResponseWriter)) (*ec2.Client, *[]string) {
	t.Helper()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); !strings.Contains(got, "/eu-central-1/ec2/aws4_request") {
			t.Errorf("signed as %q", got)
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		asked = append(asked, r.PostForm.Encode())
		if len(asked) > len(answers) {
			t.Errorf("call %d: only %d were expected", len(asked), len(answers))
			return
		}
		answers[len(asked)-1](w)
	}))
	t.Cleanup(server.Close)
	return ec2.New(aws.Config{
		Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		},
	}), &asked
}

func say(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(status); fmt.Fprint(w, body) }
}

// The answers are of the examples in EC2's API reference, shortened.
const (
	first = `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>8f7724cf</requestId>
<reservationSet><item><reservationId>r-1</reservationId><instancesSet><item><instanceId>i-1</instanceId></item>
<item><instanceId>i-2</instanceId></item></instancesSet></item></reservationSet><nextToken>more</nextToken></DescribeInstancesResponse>`
	second = `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<reservationSet><item><instancesSet><item><instanceId>i-3</instanceId></item></instancesSet></item></reservationSet></DescribeInstancesResponse>`
	tables = `<DescribeRouteTablesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><routeTableSet><item><routeTableId>rtb-1</routeTableId>
<routeSet><item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local</gatewayId></item>
<item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><gatewayId>igw-1</gatewayId></item></routeSet>
<associationSet><item><main>true</main></item><item><subnetId>subnet-1</subnetId><main>false</main></item></associationSet></item></routeTableSet></DescribeRouteTablesResponse>`
	busy   = `<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors><RequestID>1</RequestID></Response>`
	denied = `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation. User: arn:aws:iam::1:user/x is not authorized to perform: ec2:DescribeSubnets</Message></Error></Errors><RequestID>1</RequestID></Response>`
)

// TestEveryPage: a list is read to its end, and a page that EC2 puts off is asked for again.
func TestEveryPage(t *testing.T) {
	client, asked := start(t, say(200, first), say(503, busy), say(200, second))
	ids, err := client.Instances(t.Context(), ec2.Filter{Name: "instance-state-name", Values: []string{"pending", "running"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"i-1", "i-2", "i-3"}, ids); diff != "" {
		t.Errorf("instances (-want +got):\n%s", diff)
	}
	form := "Action=DescribeInstances&Filter.1.Name=instance-state-name&Filter.1.Value.1=pending&Filter.1.Value.2=running&"
	if diff := cmp.Diff([]string{form + "Version=2016-11-15", form + "NextToken=more&Version=2016-11-15", form + "NextToken=more&Version=2016-11-15"}, *asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestRouteTables(t *testing.T) {
	client, _ := start(t, say(200, tables))
	got, err := client.RouteTables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []ec2.RouteTable{{
		Associations: []ec2.Association{{Main: true}, {Subnet: "subnet-1"}},
		Routes:       []ec2.Route{{Destination: "10.0.0.0/16", Gateway: "local"}, {Destination: "0.0.0.0/0", Gateway: "igw-1"}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("route tables (-want +got):\n%s", diff)
	}
}

// TestRefusal: an error of EC2 is one of AWS's, with the hint that the SDK's have, and a refusal
// is not asked again.
func TestRefusal(t *testing.T) {
	client, asked := start(t, say(403, denied))
	_, err := client.Subnets(t.Context())
	if hint, ok := refusal.Of(err); !ok || !strings.Contains(hint, "ec2:DescribeSubnets") || !refusal.Denied(err) {
		t.Errorf("%v: hint %q, of AWS %v", err, hint, ok)
	}
	if len(*asked) != 1 {
		t.Errorf("asked %d times", len(*asked))
	}
}

// TestUnreachable: no answer is a refusal, too, with a hint.
func TestUnreachable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	client := ec2.New(aws.Config{
		Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", ""),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	})
	_, err := client.Subnets(t.Context())
	if hint, ok := refusal.Of(err); !ok || !strings.Contains(hint, "out of reach") {
		t.Errorf("%v: hint %q, of AWS %v", err, hint, ok)
	}
}
