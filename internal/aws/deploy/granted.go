package deploy

import (
	"github.com/mayfly-ci/mayfly/internal/aws/iamref"
)

// resources are the ARNs that a policy must grant an action on for a stack. An action without
// resources in IAM is granted on "*" only; so are, in the policy of docs/aws.md, those of
// resources that AWS names itself, such as subnets.
func (a *Account) resources(stack, action string) []string {
	known, _ := iamref.Find(action)
	var arns []string
	for _, on := range known.Types {
		for _, name := range named(stack, BucketName(a.ID, a.Region(), stack))[on.Service+" "+on.Name] {
			arns = append(arns, on.In(a.partition(), a.Region(), a.ID, name))
		}
	}
	if len(arns) == 0 {
		return []string{"*"}
	}
	return arns
}

// named are the resources of a stack whose names follow from the stack's: by service and type, as
// the last part of their ARNs.
func named(stack, bucket string) map[string][]string {
	return map[string][]string{
		"cloudformation stack":             {"stack/" + stack + "/1"},
		"cloudwatch alarm":                 {"alarm:" + stack + "-oldest"},
		"cloudwatch dashboard":             {"dashboard/" + stack},
		"codebuild project":                {"project/" + stack + "-build-amd64"},
		"codecommit repository":            {stack + "-image"},
		"dynamodb index":                   {"table/" + stack + "-ledger/index/open"},
		"dynamodb table":                   {"table/" + stack + "-ledger"},
		"ecr repository":                   {"repository/" + stack + "-runner"},
		"ecs capacity-provider":            {"capacity-provider/" + stack + "-amd64"},
		"ecs cluster":                      {"cluster/" + stack},
		"ecs task":                         {"task/" + stack + "/1"},
		"ecs task-definition":              {"task-definition/" + stack + "-small:1"},
		"events archive":                   {"archive/" + stack},
		"events event-bus":                 {"event-bus/" + stack},
		"events replay":                    {"replay/1"},
		"events rule-on-custom-event-bus":  {"rule/" + stack + "/jobs"},
		"events rule-on-default-event-bus": {"rule/" + stack + "-sweep"},
		"iam instance-profile":             {"instance-profile/" + stack + "-HostProfile"},
		"iam role":                         {"role/" + stack + "-WebhookRole"},
		"lambda function":                  {"function:" + stack + "-webhook"},
		"logs log-group":                   {"log-group:" + stack + "-WebhookLogs", "log-group:/aws/events/" + stack},
		"logs log-stream":                  {"log-group:" + stack + "-WebhookLogs:log-stream:1"},
		"s3 bucket":                        {bucket},
		"s3 object":                        {bucket + "/key"},
		"schemas discoverer":               {"discoverer/1"},
		"schemas registry":                 {"registry/discovered-schemas"},
		"schemas schema":                   {"schema/discovered-schemas/1"},
		"secretsmanager Secret":            {"secret:WebhookSecret-1"},
		"sqs queue":                        {stack + "-dead-letters"},
	}
}
