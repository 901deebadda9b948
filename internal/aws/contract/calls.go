package contract

// Calls lists, for each handler, the permissions that its calls of AWS need, in the
// form of IAM policies. The stack gives a function's role these and no others, and the
// tests of a handler note what it calls, so that neither can have more, or less, than
// the other.
//
// What a function has besides is its host's and not its code's: see [Given].
func Calls() map[string][]string {
	ledger := []string{"dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"}
	with := func(more ...string) []string { return append(more, ledger...) }
	return map[string][]string{
		HandlerWebhook: {"events:PutEvents", "secretsmanager:GetSecretValue"},
		HandlerClaim:   with("ecs:DescribeTasks", "events:PutEvents", "secretsmanager:GetSecretValue"),
		HandlerLedger:  with("events:PutEvents"),
		HandlerSweep: with("ecs:DescribeTasks", "ecs:ListTasks", "ecs:StopTask", "events:PutEvents",
			"secretsmanager:GetSecretValue", "sqs:DeleteMessage", "sqs:ReceiveMessage"),
		HandlerRelease: {
			"codebuild:BatchGetBuilds", "codebuild:ListBuildsForProject", "codebuild:StartBuild",
			"codecommit:GetBranch", "codecommit:GetCommit", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query",
			"ecr:BatchDeleteImage", "ecr:DescribeImages",
			"ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitionFamilies", "ecs:RegisterTaskDefinition", "events:PutEvents",
		},
	}
}

// Given lists what a function has that its code does not call, with the reason; in
// [GivenInVPC] is what one in a VPC has besides.
func Given(handler string) map[string]string {
	given := map[string]string{
		"logs:CreateLogStream": "Lambda writes the log as the function",
		"logs:PutLogEvents":    "Lambda writes the log as the function",
	}
	switch handler {
	case HandlerSweep, HandlerRelease:
		given["sqs:SendMessage"] = "Lambda sends what the function failed on to the dead letters, as the function"
	}
	if handler == HandlerLedger || handler == HandlerSweep {
		for _, action := range []string{"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"} {
			given[action] = "Lambda polls the function's queue as the function"
		}
	}
	if handler == HandlerRelease {
		given["iam:PassRole"] = "registering a task definition gives the task its roles"
		given["ecs:TagResource"] = "a revision is registered with the tags of the one before it"
	}
	return given
}

// GivenInVPC lists what a function has besides [Given] where it is in a VPC: those are that call
// GitHub. The rights are for Lambda, as the function, and not for the function's code.
func GivenInVPC(handler string) map[string]string {
	if handler != HandlerClaim && handler != HandlerSweep {
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
