package stack

import (
	"cmp"
	"slices"
	"strings"
)

// everywhere lists the actions that a role may have on "*", because IAM does not support resources
// for them, with the condition key that restricts them instead, if any.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
func everywhere() map[string]string {
	return map[string]string{
		"ec2:DescribeNetworkInterfaces":     byLambda,
		"ec2:DescribeSubnets":               byLambda,
		"ecr:GetAuthorizationToken":         "",
		"ecs:DescribeTaskDefinition":        "",
		"ecs:DiscoverPollEndpoint":          "",
		"ecs:ListTaskDefinitionFamilies":    "",
		"ecs:ListTasks":                     "ecs:cluster",
		"ecs:Poll":                          "ecs:cluster",
		"ecs:StartTelemetrySession":         "ecs:cluster",
		"ecs:UpdateContainerInstancesState": "ecs:cluster",
		"ssm:UpdateInstanceInformation":     "", // its resource is the host, whose name is unknown before it runs
		"ssmmessages:CreateControlChannel":  "",
		"ssmmessages:CreateDataChannel":     "",
		"ssmmessages:OpenControlChannel":    "",
		"ssmmessages:OpenDataChannel":       "",
	}
}

// conditions lists the actions that need a condition in addition to their resource, with its key.
func conditions() map[string]string {
	return map[string]string{
		"ec2:AssignPrivateIpAddresses":   byLambda,
		"ec2:CreateNetworkInterface":     byLambda,
		"ec2:DeleteNetworkInterface":     byLambda,
		"ec2:UnassignPrivateIpAddresses": byLambda,
		"ecs:RunTask":                    "ecs:cluster",
		"ecs:TagResource":                "ecs:CreateAction",
		"iam:PassRole":                   "iam:PassedToService",
		"lambda:InvokeFunction":          "lambda:InvokedViaFunctionUrl",
		"lambda:InvokeFunctionUrl":       "lambda:FunctionUrlAuthType",
	}
}

// byLambda is a condition key that calls by a function's code have, and calls by Lambda itself in the
// function's role do not. https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
const byLambda = "lambda:SourceFunctionArn"

// readers lists the roles that may read each secret.
func readers() map[string][]string {
	return map[string][]string{
		"AppSecret":     {"ClaimRole", "SweepRole"},
		"WebhookSecret": {"WebhookRole"},
	}
}

// A statement is a statement of a policy, with single values turned into lists.
type statement struct {
	effect             string
	actions, resources []any
	conditions         tree
	rest               tree
}

func statementsOf(document any) (all []statement) {
	d, _ := document.(tree)
	for _, s := range list(d["Statement"]) {
		s, ok := where(s).(tree)
		if !ok {
			continue
		}
		all = append(all, statement{text(s["Effect"]), list(s["Action"]), list(s["Resource"]), at(s, "Condition"), s})
	}
	return all
}

// statements returns all statements that apply to role, of its inline policies and of separate
// policies.
func (l *linter) statements(role string) (all []statement) {
	for _, p := range trees(l.resources[role].properties["Policies"]) {
		all = append(all, statementsOf(p["PolicyDocument"])...)
	}
	for _, r := range l.resources {
		if !strings.HasPrefix(r.kind, "AWS::IAM::") || r.kind == "AWS::IAM::Role" {
			continue
		}
		for _, holder := range append(list(r.properties["Roles"]), list(r.properties["RoleName"])...) {
			if referred(holder) == role {
				all = append(all, statementsOf(r.properties["PolicyDocument"])...)
			}
		}
	}
	return all
}

// actionsOf returns the actions of statements, sorted and without duplicates.
func actionsOf(all []statement) (actions []string) {
	for _, s := range all {
		for _, a := range s.actions {
			actions = append(actions, text(a))
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

// trust checks who may assume a role: only services, and a service that acts for many accounts
// only for this one.
func (l *linter) trust(id string, p tree) {
	for _, s := range statementsOf(p["AssumeRolePolicyDocument"]) {
		service := at(s.rest, "Principal")["Service"]
		if service == nil || len(at(s.rest, "Principal")) != 1 {
			l.fault(id, "its trust names others than services")
		}
		name := text(service)
		if (strings.HasPrefix(name, "events.") || strings.HasPrefix(name, "ecs-tasks.") || strings.HasPrefix(name, "codebuild.")) && !has(s.conditions, "aws:SourceAccount") {
			l.fault(id, "%s could take it for another account: want a condition on aws:SourceAccount", name)
		}
	}
}

func (l *linter) role(id string, p tree) {
	for _, s := range l.statements(id) {
		l.statement(id, s)
		l.secrets(id, s)
	}
	if p["ManagedPolicyArns"] != nil && !strings.HasPrefix(id, "Pool") {
		l.fault(id, "managed policies: AWS widens them when it likes: want the actions themselves")
	}
}

func (l *linter) policy(id string, p tree) {
	for _, s := range statementsOf(p["PolicyDocument"]) {
		l.statement(id, s)
	}
}

// document checks the policy of a resource, whose statements are about the resource itself.
func (l *linter) document(id string, p tree) {
	for _, s := range statementsOf(p["PolicyDocument"]) {
		if len(s.conditions) == 0 {
			l.fault(id, "a policy without a condition: whoever acts through the service could use it")
		}
	}
}

// statement checks what a statement allows.
func (l *linter) statement(id string, s statement) {
	if s.effect != "Allow" || s.rest["NotAction"] != nil || s.rest["NotResource"] != nil || len(s.actions) == 0 || len(s.resources) == 0 {
		l.fault(id, "a statement that does not simply allow actions on resources")
	}
	l.reference(id, s)
	for _, a := range s.actions {
		action := text(a)
		narrowed, excepted := everywhere()[action]
		switch key := cmp.Or(narrowed, conditions()[action]); {
		case strings.Contains(action, "*"):
			l.fault(id, "action %s: want each action by its name", action)
		case action == "logs:CreateLogGroup":
			l.fault(id, "action %s: a late line would make the log group again after the stack is gone", action)
		case key == byLambda && at(s.conditions, "Null")[key] != "true":
			l.fault(id, "action %s for the function's own code: want the condition that Null of %s is true", action, key)
		case key != "" && !has(s.conditions, key):
			l.fault(id, "action %s without a condition on %s", action, key)
		}
		for _, r := range s.resources {
			if r == "*" && !excepted {
				l.fault(id, "action %s on every resource there is", action)
			}
		}
	}
}

// secrets finds roles that may read a secret that is not for them.
func (l *linter) secrets(id string, s statement) {
	if !slices.ContainsFunc(s.actions, func(a any) bool { return strings.HasPrefix(text(a), "secretsmanager:") }) {
		return
	}
	for _, r := range s.resources {
		if secret := referred(r); !slices.Contains(readers()[secret], id) {
			l.fault(id, "it may read the secret %s, which is for %v", secret, readers()[secret])
		}
	}
}

// has reports whether any operator of conditions tests key.
func has(conditions tree, key string) bool {
	for _, operator := range conditions {
		if keys, ok := operator.(tree); ok && keys[key] != nil {
			return true
		}
	}
	return false
}
