package awstest

import "github.com/mayfly-ci/mayfly/internal/aws/contract"

// Calls lists, for each handler, the IAM actions that its code needs. Tests hold both sides against it: the
// handlers' record what they call, and the stack's compare it with the roles of the template. So a
// role has neither more nor less than its function calls.
//
// [Given] lists what a function has for its host, Lambda, rather than for its code.
func Calls() map[string][]string {
	ledger := []string{"dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"}
	with := func(more ...string) []string { return append(more, ledger...) }
	return map[string][]string{
		contract.HandlerWebhook: {"events:PutEvents", "secretsmanager:GetSecretValue"},
		contract.HandlerClaim:   with("ecs:DescribeTasks", "events:PutEvents", "secretsmanager:GetSecretValue"),
		contract.HandlerLedger:  with("events:PutEvents"),
		contract.HandlerSweep: with("ecs:DescribeTasks", "ecs:ListTasks", "ecs:StopTask", "events:PutEvents",
			"secretsmanager:GetSecretValue", "sqs:DeleteMessage", "sqs:ReceiveMessage"),
		contract.HandlerRelease: {
			"codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject", "codebuild:StartBuild",
			"codecommit:GetBranch", "codecommit:GetCommit", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query",
			"ecr:BatchDeleteImage", "ecr:DescribeImages",
			"ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitionFamilies", "ecs:RegisterTaskDefinition", "events:PutEvents",
		},
	}
}

// Given lists the actions of a function's role that its code does not call, with the reason. In a VPC it has
// those of [GivenInVPC], too.
func Given(handler string) map[string]string {
	given := map[string]string{
		"logs:CreateLogStream": "Lambda writes the log as the function",
		"logs:PutLogEvents":    "Lambda writes the log as the function",
	}
	switch handler {
	case contract.HandlerSweep, contract.HandlerRelease:
		given["sqs:SendMessage"] = "Lambda sends what the function failed on to the dead letters, as the function"
	}
	switch handler {
	case contract.HandlerLedger, contract.HandlerSweep, contract.HandlerRelease:
		for _, action := range []string{"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"} {
			given[action] = "Lambda polls the function's queue as the function"
		}
	}
	if handler == contract.HandlerRelease {
		given["iam:PassRole"] = "registering a task definition gives the task its roles"
		given["ecs:TagResource"] = "a revision is registered with the tags of the one before it"
	}
	return given
}

// GivenInVPC lists what a function has besides [Given] where it is in a VPC: those are that call
// GitHub. The rights are for Lambda, as the function, and not for the function's code.
func GivenInVPC(handler string) map[string]string {
	if handler != contract.HandlerClaim && handler != contract.HandlerSweep {
		return nil
	}
	given := map[string]string{}
	for _, action := range []string{
		"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
		"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
	} {
		given[action] = "Lambda makes the function's network interfaces as the function"
	}
	return given
}
