package stack

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// Quotas of AWS whose use grows with pools and names. They cannot be raised on request, or are those of
// new accounts.
const (
	maxInlinePolicies = 10_240 // characters of all inline policies of a role: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	maxTrust          = 2_048  // characters of a role's trust policy, on the same page
	maxAttached       = 10     // managed policies of a role, on the same page
	maxQueuePolicy    = 8_192  // bytes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-policies.html
	maxEnvironment    = 4_096  // bytes of a function's: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	maxLogPolicy      = 5_120  // characters: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html
	maxRules          = 300    // of a bus: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
	ownRules          = 5      // of a bus, created by its archive and discoverer
	maxPattern        = 4_096  // characters of an event pattern: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
	maxTransformed    = 8_192  // characters of an input template, on the page of targets
	maxUserData       = 16_384 // bytes: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html
	maxResources      = 500    // of a template: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
	maxNamed          = 200    // parameters of a template, and outputs, on the same page
)

// longest has the longest values of a template's pseudo parameters.
var longest = strings.NewReplacer(
	"${AWS::Partition}", "aws-us-gov", "${AWS::Region}", "ap-southeast-99", "${AWS::AccountId}", "123456789012",
	"${AWS::StackName}", "a-name-of-20-letters", "${AWS::StackId}", strings.Repeat("x", 120), "${AWS::URLSuffix}", "amazonaws.com.cn",
)

// Lengths of what AWS generates for a resource. A name consists of the stack's name, the logical id and twelve
// letters, and is cut to 64 characters for a role. An ARN contains the name, and a role's path.
const (
	longestName = 95
	longestARN  = 170
)

// quotas finds what would exceed a quota of AWS if all names had their maximum length.
func (l *linter) quotas() {
	rules := 0
	for id, r := range l.resources {
		switch r.kind {
		case "AWS::IAM::Role":
			l.most(id, "inline policies", l.inline(id), maxInlinePolicies)
			l.most(id, "trust policy", sizeOf(r.properties["AssumeRolePolicyDocument"]), maxTrust)
			l.most(id, "managed policies", len(list(r.properties["ManagedPolicyArns"])), maxAttached)
		case "AWS::SQS::QueuePolicy":
			l.most(id, "policy", sizeOf(r.properties["PolicyDocument"]), maxQueuePolicy)
		case "AWS::Logs::ResourcePolicy":
			l.most(id, "policy", len(resolved(subOf(r.properties["PolicyDocument"]))), maxLogPolicy)
		case "AWS::Lambda::Function":
			l.most(id, "environment", sizeOf(at(r.properties, "Environment")["Variables"]), maxEnvironment)
		case "AWS::EC2::LaunchTemplate":
			data, _ := at(r.properties, "LaunchTemplateData", "UserData")["Fn::Base64"]
			l.most(id, "user data", len(resolved(subOf(data))), maxUserData)
		case "AWS::Events::Rule":
			if r.properties["EventBusName"] != nil {
				rules++
			}
			l.most(id, "pattern", sizeOf(r.properties["EventPattern"]), maxPattern)
			for _, target := range trees(r.properties["Targets"]) {
				l.most(id, "input template", len(subOf(at(target, "InputTransformer")["InputTemplate"])), maxTransformed)
			}
		}
	}
	l.most("Resources", "resources", len(l.resources), maxResources)
	l.most("Resources", "rules on the bus", rules+ownRules, maxRules)
	l.most("Parameters", "parameters", len(at(l.tree, "Parameters")), maxNamed)
	l.most("Outputs", "outputs", len(at(l.tree, "Outputs")), maxNamed)
}

func (l *linter) most(id, what string, is, most int) {
	if is > most {
		l.fault(id, "%s: %d with the longest names: AWS has %d at most", what, is, most)
	}
}

// inline returns the size of all inline policies of a role, including those defined as separate resources.
func (l *linter) inline(role string) (size int) {
	for _, p := range trees(l.resources[role].properties["Policies"]) {
		size += sizeOf(p["PolicyDocument"])
	}
	for _, r := range l.resources {
		if r.kind != "AWS::IAM::Policy" {
			continue
		}
		for _, holder := range list(r.properties["Roles"]) {
			if referred(holder) == role {
				size += sizeOf(r.properties["PolicyDocument"])
			}
		}
	}
	return size
}

// sizeOf returns the length of a value as compact JSON with the longest names.
func sizeOf(value any) int {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if value == nil || encoder.Encode(longestOf(value)) != nil {
		return 0
	}
	return b.Len() - 1 // without the newline that Encode adds
}

// longestOf returns a value with intrinsic functions replaced by their longest possible results.
func longestOf(value any) any {
	switch value := value.(type) {
	case []any:
		all := make([]any, len(value))
		for i, item := range value {
			all[i] = longestOf(item)
		}
		return all
	case tree:
		if branches := list(value["Fn::If"]); len(branches) == 3 {
			return longestOf(branches[1])
		}
		if parts := list(value["Fn::Join"]); len(parts) == 2 {
			var joined []string
			for _, item := range list(parts[1]) {
				joined = append(joined, text(longestOf(item)))
			}
			return strings.Join(joined, text(parts[0]))
		}
		switch {
		case value["Fn::Sub"] != nil:
			return resolved(subOf(value))
		case value["Ref"] != nil:
			return resolved("${" + text(value["Ref"]) + "}")
		case value["Fn::GetAtt"] != nil:
			parts := list(value["Fn::GetAtt"])
			return resolved("${" + text(parts[0]) + "." + text(parts[1]) + "}")
		}
		all := tree{}
		for name, item := range value {
			all[name] = longestOf(item)
		}
		return all
	}
	return value
}

// resolved returns the text of a Sub with the longest values.
func resolved(sub string) string {
	return variable.ReplaceAllStringFunc(longest.Replace(sub), func(name string) string {
		switch {
		case strings.HasSuffix(name, ".RoleId}"): // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
			return strings.Repeat("x", 21)
		case strings.Contains(name, "."):
			return strings.Repeat("x", longestARN)
		}
		return strings.Repeat("x", longestName)
	})
}

// covers reports whether a pattern of ARNs, in which * matches any text, matches one of arns.
func covers(pattern string, arns ...string) bool {
	like := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
	for _, arn := range arns {
		if like.MatchString(arn) {
			return true
		}
	}
	return false
}
