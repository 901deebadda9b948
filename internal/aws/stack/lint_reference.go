package stack

import (
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/aws/iamref"
)

// forms are the ARNs of what a template makes, by the kind of the resource, for holding a
// statement's resources against AWS's reference.
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
		"AWS::Logs::LogGroup":         "arn:aws:logs:r:1:log-group:x:*", // with all its streams, as GetAtt gives it
		"AWS::S3::Bucket":             "arn:aws:s3:::x",
		"AWS::SecretsManager::Secret": "arn:aws:secretsmanager:r:1:secret:x",
		"AWS::SNS::Topic":             "arn:aws:sns:r:1:x",
		"AWS::SQS::Queue":             "arn:aws:sqs:r:1:x",
	}
}

// pseudo are the values that a template's pseudo parameters have in these ARNs.
var pseudo = strings.NewReplacer("${AWS::Partition}", "aws", "${AWS::Region}", "r", "${AWS::AccountId}", "1", "${AWS::StackName}", "x")

// form returns an ARN of the form that a statement's resource has once it is resolved.
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
	// The reference knows task definitions by family and revision, and EventBridge's own examples
	// name the family alone, which is what a rule without a revision asks for.
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-identity-based.html
	if _, family, found := strings.Cut(text, ":task-definition/"); found && !strings.Contains(family, ":") {
		text += ":*"
	}
	return text
}

// reference holds a statement against AWS's own reference: the actions exist and know the
// condition keys, and each resource is one that an action of the statement is granted on. IAM
// takes a policy where that is not so, and never grants the action.
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
		if len(actions) == 1 { // a pattern names actions of all kinds of resource
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

// granted finds an action that its statement does not grant.
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
