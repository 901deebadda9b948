package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// maxLogPolicies are the resource policies of an account and region, which cannot be raised.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/logs/cloudwatch_limits_cwl.html
const maxLogPolicies = 10

// LogPolicy says by which resource policy EventBridge writes the stack's log of events: "own", one that
// the stack makes, or "shared", one that the account has, where it can have no more.
func (a *Account) LogPolicy(ctx context.Context, stack string) (string, error) {
	all, err := a.logPolicies(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for _, p := range all {
		names = append(names, aws.ToString(p.PolicyName))
	}
	if len(all) < maxLogPolicies || slices.Contains(names, stack+"-events") {
		return "own", nil
	}
	group := fmt.Sprintf("arn:%s:logs:%s:%s:log-group:/aws/events/%s:log-stream:x", a.partition(), a.Region(), a.ID, stack)
	if slices.ContainsFunc(all, func(p types.ResourcePolicy) bool {
		return lets(aws.ToString(p.PolicyDocument), "events.amazonaws.com", group)
	}) {
		return "shared", nil
	}
	slices.Sort(names)
	return "", refusal.New(fmt.Errorf("region %s has %d resource policies of CloudWatch Logs (%s), the most there can be, and none lets EventBridge write to /aws/events/%s",
		a.Region(), len(all), strings.Join(names, ", "), stack),
		"remove one with aws logs delete-resource-policy, or let one allow events.amazonaws.com and delivery.logs.amazonaws.com to write to /aws/events/*")
}

func (a *Account) logPolicies(ctx context.Context) (all []types.ResourcePolicy, err error) {
	api := cloudwatchlogs.NewFromConfig(a.Config)
	for next := (*string)(nil); ; {
		page, err := api.DescribeResourcePolicies(ctx, &cloudwatchlogs.DescribeResourcePoliciesInput{NextToken: next})
		if err != nil {
			return nil, fmt.Errorf("resource policies of CloudWatch Logs: %w", err)
		}
		all = append(all, page.ResourcePolicies...)
		if next = page.NextToken; next == nil {
			return all, nil
		}
	}
}

// lets reports whether a resource policy lets a service write log events, to a log stream, without
// any condition.
func lets(document, service, stream string) bool {
	var policy struct {
		Statement []struct {
			Effect           string
			Principal        struct{ Service oneOrMore }
			Action, Resource oneOrMore
			Condition        json.RawMessage
		}
	}
	if json.Unmarshal([]byte(document), &policy) != nil {
		return false
	}
	for _, s := range policy.Statement {
		acts := slices.ContainsFunc(s.Action, func(action string) bool { return like(action, "logs:PutLogEvents") })
		on := slices.ContainsFunc(s.Resource, func(pattern string) bool { return like(pattern, stream) })
		if s.Effect == "Allow" && s.Condition == nil && slices.Contains(s.Principal.Service, service) && acts && on {
			return true
		}
	}
	return false
}

// oneOrMore is what a policy says as one text or as a list.
type oneOrMore []string

// UnmarshalJSON implements [json.Unmarshaler].
func (o *oneOrMore) UnmarshalJSON(src []byte) error {
	var one string
	if json.Unmarshal(src, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(src, (*[]string)(o))
}

// like reports whether a pattern of a policy, in which * is any text, has text.
func like(pattern, text string) bool {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$").MatchString(text)
}
