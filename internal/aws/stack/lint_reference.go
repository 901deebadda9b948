package stack

import (
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/aws/iamref"
)

// forms returns sample ARNs by kind of resource, to compare a statement's resources with AWS's
// reference.
func forms() map[string]string {
	return map[string]string{
		"AWS::CodeBuild::Project":     "arn:aws:codebuild:r:1:project/x",
		"AWS::CodeCommit::Repository": "arn:aws:codecommit:r:1:x",
		"AWS::DynamoDB::Table":        "arn:aws:dynamodb:r:1:table/x",
		"AWS::ECR::Repository":        "arn:aws:ecr:r:1:repository/x",
		"AWS::ECS::Cluster":           "arn:aws:ecs:r:1:cluster/x",
		"AWS::Events::EventBus":       "arn:aws:events:r:1:event-bus/x",
		"AWS::IAM::Role":              "arn:aws:iam::1:role/x",
		"AWS::Lambda::Function":       "arn:aws:lambda:r:1:function:x",
		"AWS::Logs::LogGroup":         "arn:aws:logs:r:1:log-group:x:*", // GetAtt returns it with all its streams
		"AWS::S3::Bucket":             "arn:aws:s3:::x",
		"AWS::SecretsManager::Secret": "arn:aws:secretsmanager:r:1:secret:x",
		"AWS::SNS::Topic":             "arn:aws:sns:r:1:x",
		"AWS::SQS::Queue":             "arn:aws:sqs:r:1:x",
	}
}

// pseudo has the values of a template's pseudo parameters in these ARNs.
var pseudo = strings.NewReplacer("${AWS::Partition}", "aws", "${AWS::Region}", "r", "${AWS::AccountId}", "1", "${AWS::StackName}", "x")

// form returns a sample ARN for a statement's resource.
func (l *linter) form(id string, r any) string {
	if name := referred(r); name != "" {
		kind := l.resources[name].kind
		if arn, known := forms()[kind]; known {
			return arn
		}
		l.fault(id, "a statement is about %s, of kind %q, whose ARNs have no known form", name, kind)
		return "*"
	}
	text := pseudo.Replace(subOf(r))
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		value := "x"
		if name, attribute, _ := strings.Cut(m[1], "."); attribute == "Arn" {
			value = forms()[l.resources[name].kind]
		}
		text = strings.ReplaceAll(text, m[0], value)
	}
	// In the reference a task definition has a family and a revision. A rule without a revision is
	// granted by the family alone, as in EventBridge's examples.
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-identity-based.html
	if _, family, found := strings.Cut(text, ":task-definition/"); found && !strings.Contains(family, ":") {
		text += ":*"
	}
	return text
}

// reference compares a statement with AWS's own reference: its actions must exist and support the
// condition keys, and each resource must be of a type that one of the actions supports. IAM accepts
// a policy that violates this, and then never grants the action.
func (l *linter) reference(id string, s statement) {
	var resources []string
	for _, r := range s.resources {
		resources = append(resources, l.form(id, where(r)))
	}
	var keys []string
	for _, operator := range s.conditions {
		for key := range operator.(tree) {
			keys = append(keys, key)
		}
	}
	for _, a := range s.actions {
		actions := iamref.Matching(text(a))
		if len(actions) == 0 {
			l.fault(id, "action %s: AWS knows no such action", text(a))
		}
		if len(actions) == 1 { // a wildcard covers actions on all kinds of resources
			l.granted(id, actions[0], resources, keys)
		}
	}
	for _, r := range resources {
		if !slices.ContainsFunc(s.actions, func(a any) bool {
			return slices.ContainsFunc(iamref.Matching(text(a)), func(action iamref.Action) bool { return action.Fits(r) })
		}) {
			l.fault(id, "resource %s: none of the statement's actions is granted on such a resource", r)
		}
	}
}

// granted finds an action that its statement can never grant.
func (l *linter) granted(id string, a iamref.Action, resources, keys []string) {
	switch {
	case len(a.Types) == 0 && !slices.Contains(resources, "*"):
		l.fault(id, `action %s has no resources: it is granted on "*" only`, a.Name)
	case !slices.ContainsFunc(resources, a.Fits):
		l.fault(id, "action %s is not granted on %s", a.Name, strings.Join(resources, ", "))
	}
	for _, key := range keys {
		if !a.Knows(key) {
			l.fault(id, "action %s has no condition key %s: it is never granted", a.Name, key)
		}
	}
}
