package stack_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/stack"
)

// TestLintFindsNothing: no template of ours has a fault.
func TestLintFindsNothing(t *testing.T) {
	for name, s := range kinds(t) {
		faults, err := stack.Lint(render(t, s))
		if err != nil || len(faults) > 0 {
			t.Errorf("%s: %v\n%v", name, err, faults)
		}
	}
}

// TestPlantedFaults plants each fault that cfn-lint 1.51 does not see, or that only
// shows on AWS, in a copy of a good template: each must be found, by its name.
func TestPlantedFaults(t *testing.T) {
	good := string(render(t, settings(t, "", mixed)))
	for _, c := range []struct{ name, old, new, want string }{
		// Tasks.
		{"dependency on an unknown container", "- Name: runner\n", "- Name: runner\n          DependsOn: [{ ContainerName: registrar, Condition: START }]\n", "PoolSmallTask: container runner depends on registrar, which is not there"},
		{"dependency on an essential container", "- Name: runner\n", "- Name: first\n          Memory: 64\n        - Name: runner\n          DependsOn: [{ ContainerName: first, Condition: SUCCESS }]\n", "PoolSmallTask: container runner waits for the end of first"},
		{"mount of an undeclared volume", "SourceVolume: home", "SourceVolume: house", "PoolOwnImageTask: container runner mounts volume house, which is not declared"},
		{"container without memory", "      Memory: \"4096\"\n", "", ""}, // the container's own is enough
		{"task and container without memory", "", "", "PoolSmallTask: container runner has no memory"},
		{"secrets without execution role", "          Privileged: false\n", "          Secrets: [{ Name: KEY, ValueFrom: !Ref AppSecret }]\n", "PoolSmallTask: container runner is given secrets"},
		{"privileged container", "Privileged: false", "Privileged: true", "PoolSmallTask: container runner is privileged"},
		{"host's network", "NetworkMode: bridge", "NetworkMode: host", "PoolSmallTask: network mode host"},

		{"tmpfs option with a value", "MountOptions: [rw,", "MountOptions: [rw, mode=1777,", "PoolOwnImageTask: container runner: tmpfs option mode=1777: ECS has none of that name"},

		// Rules.
		{"override for an unknown container", `{"name": "runner", "environment": [{"name": "MAYFLY_RUNNER", "value": "<runner>"}]}`, `{"name": "agent", "environment": []}`, `PoolSmallWanted: overrides of container "agent", which the task has not: it has [runner]`},
		{"variable that is not in the map", `"value": "<runner>"`, `"value": "<runners>"`, `PoolSmallWanted: input: template: variable "runners"`},
		{"broken JSON in an input", `"value": "<runner>"}]}]}'`, `"value": "<runner>"}]}'`, `PoolSmallWanted: input: template:`},
		{"pattern value that is no list", "detail: { pool: [small]", "detail: { pool: small", `PoolSmallWanted: pattern: line 1`},
		{"unknown operator", "replay-name: [{ exists: false }, { prefix: launch- }], detail: { pool: [small]", "replay-name: [{ exist: false }], detail: { pool: [small]", `PoolSmallWanted: pattern: line 1, column`},
		{"launch type with a strategy", "            TaskCount: 1\n", "            TaskCount: 1\n            LaunchType: EC2\n", "PoolSmallWanted: a launch type together with a capacity provider strategy"},
		{"no strategy", "            CapacityProviderStrategy: [{ CapacityProvider: !Ref HostAmd64CapacityProvider, Weight: 1, Base: 0 }]\n", "", "PoolSmallWanted: tasks without a capacity provider strategy"},
		{"ECS target without a role", "          RoleArn: !GetAtt LaunchRole.Arn\n", "", "PoolSmallWanted: tasks without RoleArn"},
		{"ECS target without dead letters", "          DeadLetterConfig: { Arn: !GetAtt DeadLetters.Arn }\n          EcsParameters", "          EcsParameters", "PoolSmallWanted: tasks without dead letters"},
		{"unknown task", `TaskDefinitionArn: !Sub "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/${AWS::StackName}-small"`, `TaskDefinitionArn: !Sub "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/${AWS::StackName}-smal"`, "PoolSmallWanted: its task definition is not in the template"},
		{"task that may not be run", `task-definition/${AWS::StackName}-*"` + "\n", `task-definition/${AWS::StackName}-b*"` + "\n", "PoolSmallWanted: LaunchRole may not run the task"},
		{"role that may not be passed", "                  - !GetAtt TaskRole.Arn\n", "", "PoolSmallWanted: LaunchRole may not pass TaskRole to the task"},
		{"pool's role that may not be passed", "${AWS::StackName}-Pool*", "${AWS::StackName}-Poo", "PoolBigArmWanted: LaunchRole may not pass PoolBigArmRole to the task"},
		{"tags without the permission", "Action: ecs:TagResource\n                Resource: !Sub \"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task/", "Action: ecs:StopTask\n                Resource: !Sub \"arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task/", "PoolSmallWanted: tasks with tags, and LaunchRole has no ecs:TagResource"},
		{"replays start tasks", "replay-name: [{ exists: false }, { prefix: launch- }], detail: { pool: [small]", "detail: { pool: [small]", "PoolSmallWanted: replayed events start tasks"},
		{"launching replays start none", "replay-name: [{ exists: false }, { prefix: launch- }], detail: { pool: [small]", "replay-name: [{ exists: false }], detail: { pool: [small]", "PoolSmallWanted: events of mayfly replay --launch start no task"},
		{"schedule on a bus of its own", "      ScheduleExpression: rate(1 minute)\n", "      ScheduleExpression: rate(1 minute)\n      EventBusName: !Ref Bus\n", "SweepSchedule: a schedule on a bus of one's own"},
		{"AWS's events on a bus of its own", "      EventPattern: { source: [aws.ecs]", "      EventBusName: !Ref Bus\n      EventPattern: { source: [aws.ecs]", "TasksRule: source aws.ecs on a bus of one's own"},
		{"log group as target with :*", "log-group:${EventsLog}", "log-group:${EventsLog}:*", "EventsRule: target arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${EventsLog}:*: a log group as a target is named without :*"},
		{"log group's ARN as target", `Arn: !Sub "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${EventsLog}"`, "Arn: !GetAtt EventsLog.Arn", "EventsRule: target EventsLog.Arn ends in :*"},
		{"rule that may not call", "SourceArn: !GetAtt ReleaseSchedule.Arn", "SourceArn: !GetAtt EffectsRule.Arn", "ReleaseSchedule: no permission lets this rule call ReleaseFunction"},
		{"events without a queue", "Arn: !GetAtt ImagesQueue.Arn,", "Arn: !GetAtt ReleaseFunction.Arn,", "PushesRule: events call ReleaseFunction without a queue"},
		{"rule that may not send its dead letters", "rule/${AWS::StackName}/*", "rule/other/*", "PoolSmallWanted: dead letters: the policy of DeadLetters does not let this rule send there"},
		{"rule that may not send to its queue", `"aws:SourceArn": !GetAtt QuarantineRule.Arn`, `"aws:SourceArn": !GetAtt JobsRule.Arn`, "QuarantineRule: the policy of Quarantine does not let this rule send there"},
		{"rule of the default bus that may not", "rule/${AWS::StackName}-*", "rule/${AWS::StackName}-b*", "PushesRule: dead letters: the policy of DeadLetters does not let this rule send there"},
		{"bus by its name", "Properties: { SourceArn: !GetAtt Bus.Arn, Description", "Properties: { SourceArn: !Ref Bus, Description", "Discoverer: SourceArn is a Ref"},

		// Queues, texts, names.
		{"FIFO dead letters", `${AWS::StackName}-dead-letters"`, "${AWS::StackName}-dead-letters.fifo\"\n      FifoQueue: true", "PoolSmallWanted: dead letters go to the FIFO queue DeadLetters"},
		{"dead letters of a function that may not send", "              - { Effect: Allow, Action: sqs:SendMessage, Resource: !GetAtt DeadLetters.Arn }\n", "", "ReleaseFunction: dead letters: ReleaseRole has no sqs:SendMessage"},
		{"rule that may not send to a polled queue", "[!GetAtt JobsRule.Arn, ", "[", "JobsRule: the policy of LedgerQueue does not let this rule send there"},
		{"poller without a bound", "      ScalingConfig: { MaximumConcurrency: 2 } # the least there is\n", "", "LedgerPoller: without MaximumConcurrency"},
		{"poller of one at once", "MaximumConcurrency: 2", "MaximumConcurrency: 1", "LedgerPoller: MaximumConcurrency 1: Lambda takes 2"},
		{"large batch at once", "      MaximumBatchingWindowInSeconds: 1 # a batch of more than 10 wants it\n", "", "LedgerPoller: a batch of 100 without a batching window"},
		{"messages visible too early", "VisibilityTimeout: 180", "VisibilityTimeout: 30", "LedgerPoller: its messages are visible again after 30 s: want six times the function's timeout, 180 s"},
		{"batch that fails as a whole", "      FunctionResponseTypes: [ReportBatchItemFailures]\n", "", "LedgerPoller: without ReportBatchItemFailures"},
		{"queue without an end", "      RedrivePolicy: { deadLetterTargetArn: !GetAtt DeadLetters.Arn, maxReceiveCount: 5 }\n", "", "LedgerPoller: its queue has no dead letters"},
		{"poller without rights", "sqs:DeleteMessage, sqs:GetQueueAttributes], Resource: !GetAtt LedgerQueue.Arn", "sqs:DeleteMessage], Resource: !GetAtt LedgerQueue.Arn", "LedgerPoller: LedgerRole has no sqs:GetQueueAttributes on LedgerQueue"},
		{"broken JSON in the dashboard", `{"widgets": [`, `{"widgets": [,`, "Dashboard: DashboardBody: invalid character"},
		{"broken JSON in the lifecycle policy", `{"rules": [`, `{"rules" [`, "Images: LifecyclePolicyText: invalid character"},
		{"repository name in upper case", `${AWS::StackName}-runner"`, `${AWS::StackName}-Runner"`, `Images: repository name "${AWS::StackName}-Runner": want one, in lower case`},
		{"no repository name", "      RepositoryName: !Sub \"${AWS::StackName}-runner\"\n", "", `Images: repository name "": want one`},
		{"repository that keeps its images", "      EmptyOnDelete: true\n", "", "Images: without EmptyOnDelete"},
		{"value of a secret", "      Description: !Sub \"${AWS::StackName}: the GitHub App's key, or a token\"", "      SecretString: later", "AppSecret: a value in the template"},
		{"name of a secret", "      Description: !Sub \"${AWS::StackName}: the GitHub App's key, or a token\"", "      Name: app", "AppSecret: a fixed name"},
		{"variable for a shell", "ECS_CLUSTER=${Cluster}", "ECS_CLUSTER=${CLUSTER:-none}", "HostAmd64LaunchTemplate: ${CLUSTER:-none}: no parameter or resource of that name: want ${!CLUSTER:-none}"},
		{"list of ids that may be empty", "Type: CommaDelimitedList", "Type: List<AWS::EC2::Subnet::Id>", "SubnetIds: type List<AWS::EC2::Subnet::Id> with an empty default"},
		{"mapping key", "Resources:\n", "Mappings: { Sizes: { x86_64: { Cpu: 1 } } }\nResources:\n", `Sizes: mapping key "x86_64"`},

		// Hosts.
		{"termination protection without the group's", "      NewInstancesProtectedFromScaleIn: true # a host with a job on it is not ended\n", "", "HostAmd64CapacityProvider: termination protection, and HostAmd64Group does not protect"},
		{"desired capacity", "      MinSize: \"0\"\n", "      MinSize: \"0\"\n      DesiredCapacity: \"1\"\n", "HostAmd64Group: a desired capacity"},
		{"name of ECS's", `Name: !Sub "${AWS::StackName}-amd64"` + "\n      AutoScalingGroupProvider", "Name: ecs-amd64\n      AutoScalingGroupProvider", "HostAmd64CapacityProvider: name ecs-amd64"},
		{"metadata for tasks", "HttpPutResponseHopLimit: 1", "HttpPutResponseHopLimit: 2", "HostAmd64LaunchTemplate: tasks could ask for their host's credentials"},
		{"metadata without a token", "HttpTokens: required", "HttpTokens: optional", "HostAmd64LaunchTemplate: tasks could ask for their host's credentials"},
		{"open disk", "Encrypted: true", "Encrypted: false", "HostAmd64LaunchTemplate: disk /dev/xvda is not encrypted"},

		// Sizes, with the longest names.
		{"inline policies", "        - PolicyName: webhook\n", "        - PolicyName: more\n          PolicyDocument: { Statement: [{ Effect: Allow, Action: events:PutEvents, Resource: [" + strings.Repeat("!GetAtt Bus.Arn, ", 70) + "!GetAtt Bus.Arn] }] }\n        - PolicyName: webhook\n", "WebhookRole: inline policies: 1"},
		{"policy of a queue", "                aws:SourceArn:\n", "                aws:SourceArn:\n" + strings.Repeat("                  - !GetAtt PoolSmallWanted.Arn\n", 50), "DeadLettersPolicy: policy: "},
		{"environment", "          MAYFLY_HANDLER: ledger\n", "          MAYFLY_HANDLER: ledger\n          MORE: !Join [\",\", [" + strings.Repeat("!Ref Bus, ", 50) + "!Ref Bus]]\n", "LedgerFunction: environment: "},
		{"pattern", "project-name: [", "project-name: [" + strings.Repeat("!Ref BuildAmd64, ", 50), "BuildsRule: pattern: "},
		{"managed policies", "ManagedPolicyArns: [", "ManagedPolicyArns: [" + strings.Repeat("'arn:aws:iam::aws:policy/A', ", 10), "PoolBigArmRole: managed policies: 11 with"},
		{"user data", "ECS_ENABLE_TASK_IAM_ROLE=true\n", "ECS_ENABLE_TASK_IAM_ROLE=true" + strings.Repeat("x", 16_000) + "\n", "HostAmd64LaunchTemplate: user data: 1"},
		{"resources", "Resources:\n", "Resources:\n" + many("  X%d: { Type: AWS::EC2::InternetGateway }\n", 450), "Resources: resources: 5"},
		{"rules", "Resources:\n", "Resources:\n" + many("  X%d: { Type: AWS::Events::Rule, Properties: { EventBusName: !Ref Bus } }\n", 290), "Resources: rules on the bus: 3"},
		{"outputs", "Outputs:\n", "Outputs:\n" + many("  X%d: { Value: x }\n", 190), "Outputs: outputs: 2"},

		// Addresses of functions.
		{"URL permission without its type", "      FunctionUrlAuthType: NONE\n", "", "WebhookUrlPermission: a permission on a function URL without FunctionUrlAuthType"},
		{"one permission of two", "  WebhookInvokePermission:\n    Type: AWS::Lambda::Permission\n    Properties:\n      Action: lambda:InvokeFunction\n", "  WebhookInvokePermission:\n    Type: AWS::Lambda::Permission\n    Properties:\n      Action: lambda:GetFunction\n", "WebhookUrl: nobody may call it: want a permission lambda:InvokeFunction"},
		{"open past the URL", "      InvokedViaFunctionUrl: true\n", "", "WebhookInvokePermission: everyone may invoke the function past its URL"},
		{"rules of every account", ", SourceArn: !GetAtt ReleaseSchedule.Arn", "", "ReleaseSchedulePermission: the rules of every account may invoke the function"},
		{"open claim", "AuthType: AWS_IAM }", "AuthType: NONE }", "ClaimUrl: nobody may call it"},

		// Roles.
		{"all actions of a service", "Action: events:PutEvents, Resource: !GetAtt Bus.Arn", `Action: "events:*", Resource: !GetAtt Bus.Arn`, "WebhookRole: action events:*: want each action by its name"},
		{"every resource", "Action: events:PutEvents, Resource: !GetAtt Bus.Arn", `Action: events:PutEvents, Resource: "*"`, "WebhookRole: action events:PutEvents on every resource there is"},
		{"any task definition", `Action: ecs:RegisterTaskDefinition
                Resource: !Sub "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/${AWS::StackName}-*"`, `Action: ecs:RegisterTaskDefinition
                Resource: "*"`, "ReleaseRole: action ecs:RegisterTaskDefinition on every resource there is"},
		{"making log groups", "Action: [logs:CreateLogStream, logs:PutLogEvents], Resource: !GetAtt WebhookLogs.Arn", "Action: [logs:CreateLogGroup, logs:PutLogEvents], Resource: !GetAtt WebhookLogs.Arn", "WebhookRole: action logs:CreateLogGroup"},
		{"tasks on any cluster", "                Condition: { ArnEquals: { \"ecs:cluster\": !GetAtt Cluster.Arn } }\n", "", "LaunchRole: action ecs:RunTask without a condition on ecs:cluster"},
		{"a host for any cluster", "                Condition: { ArnEquals: { \"ecs:cluster\": !GetAtt Cluster.Arn } }\n  HostProfile", "  HostProfile", "HostRole: action ecs:Poll without a condition on ecs:cluster"},
		{"hosts that may not report", "Action: [ecs:Poll,", "Action: [ecs:SubmitTaskStateChange, ecs:Poll,", "HostRole: action ecs:SubmitTaskStateChange has no condition key ecs:cluster: it is never granted"},
		{"action that AWS does not know", "Action: ecs:RunTask\n", "Action: ecs:RunTasks\n", "LaunchRole: action ecs:RunTasks: AWS knows no such action"},
		{"action without resources on one", "Action: ecs:DiscoverPollEndpoint, Resource: \"*\"", "Action: ecs:DiscoverPollEndpoint, Resource: !GetAtt Cluster.Arn", `HostRole: action ecs:DiscoverPollEndpoint has no resources: it is granted on "*" only`},
		{"resource of another kind", "Action: events:PutEvents, Resource: !GetAtt Bus.Arn", "Action: events:PutEvents, Resource: !GetAtt DeadLetters.Arn", "WebhookRole: action events:PutEvents is not granted on arn:aws:sqs:r:1:x"},
		{"passing roles to anyone", "                Condition: { StringEquals: { \"iam:PassedToService\": ecs-tasks.amazonaws.com } }\n", "", "LaunchRole: action iam:PassRole without a condition on iam:PassedToService"},
		{"claims past the signature", `            Condition: { StringEquals: { "lambda:FunctionUrlAuthType": AWS_IAM } }` + "\n", "", "ClaimPolicy: action lambda:InvokeFunctionUrl without a condition"},
		{"the App's secret for another", "Action: secretsmanager:GetSecretValue, Resource: !Ref WebhookSecret", "Action: secretsmanager:GetSecretValue, Resource: !Ref AppSecret", "WebhookRole: it may read the secret AppSecret, which is for [ClaimRole SweepRole]"},
		{"a secret for hosts", "              - { Effect: Allow, Action: ecs:DiscoverPollEndpoint, Resource: \"*\" }\n", "              - { Effect: Allow, Action: [secretsmanager:GetSecretValue], Resource: !Ref WebhookSecret }\n", "HostRole: it may read the secret WebhookSecret"},
		{"deny that hides more", "- { Effect: Allow, Action: ecs:DiscoverPollEndpoint", "- { Effect: Allow, NotAction: [ecs:Poll], Action: ecs:DiscoverPollEndpoint", "HostRole: a statement that does not simply allow"},
		{"trust in an account", "Principal: { Service: events.amazonaws.com }, Action: sts:AssumeRole", "Principal: { AWS: \"*\" }, Action: sts:AssumeRole", "LaunchRole: its trust names others than services"},
		{"confused deputy", `Principal: { Service: ecs-tasks.amazonaws.com }, Action: sts:AssumeRole, Condition: { StringEquals: { "aws:SourceAccount": !Ref "AWS::AccountId" } }`, "Principal: { Service: ecs-tasks.amazonaws.com }, Action: sts:AssumeRole", "ecs-tasks.amazonaws.com could take it for another account"},
		{"managed policy", "  HostRole:\n    Type: AWS::IAM::Role\n    Properties:\n", "  HostRole:\n    Type: AWS::IAM::Role\n    Properties:\n      ManagedPolicyArns: [arn:aws:iam::aws:policy/AdministratorAccess]\n", "HostRole: managed policies"},
		{"queue for every rule", "            Condition:\n              ArnLike:", "            Conditions:\n              ArnLike:", "DeadLettersPolicy: a policy without a condition"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(good, c.old, c.new, 1)
			if c.name == "task and container without memory" {
				bad = strings.NewReplacer("      Memory: \"4096\"\n", "", "          Memory: 4096\n", "").Replace(good)
			}
			checkPlanted(t, good, bad, c.want)
		})
	}
}

// TestPlantedFaultsOfVPC plants those of functions in a VPC.
func TestPlantedFaultsOfVPC(t *testing.T) {
	good := string(render(t, settings(t, inVPC, small)))
	const interfaces = "Action: [ec2:AssignPrivateIpAddresses, ec2:CreateNetworkInterface, "
	for _, c := range []struct{ name, old, new, want string }{
		{"rights that are not there", interfaces, "Action: [ec2:AssignPrivateIpAddresses, ", "SweepFunction: in a VPC, and SweepRole has no ec2:CreateNetworkInterface"},
		{"rights for the function's code", `                Condition: { "Null": { "lambda:SourceFunctionArn": "true" } }` + "\n", "", "SweepRole: action ec2:CreateNetworkInterface for the function's own code"},
		{"rights for nobody but the code", `Condition: { "Null": { "lambda:SourceFunctionArn": "true" } }`, `Condition: { ArnLike: { "lambda:SourceFunctionArn": "*" } }`, "SweepRole: action ec2:CreateNetworkInterface for the function's own code"},
		{"interfaces anywhere", `:*/*" # the least that AWS documents`, ":*/*\"\n              - { Effect: Allow, Action: ec2:DeleteNetworkInterface, Resource: \"*\", Condition: { \"Null\": { \"lambda:SourceFunctionArn\": \"true\" } } }\n              - Effect: Allow\n                Action: ec2:CreateNetworkInterface\n                Resource: !GetAtt Bus.Arn", "SweepRole: action ec2:DeleteNetworkInterface on every resource there is"},
		{"public subnet", "VpcConfig: { SubnetIds: !Ref SubnetIds", "VpcConfig: { SubnetIds: [!Ref SubnetA]", "SweepFunction: in SubnetA, which is public"},
		{"open to somebody", "      GroupDescription: !Sub \"${AWS::StackName} functions: out only\"\n", "      GroupDescription: !Sub \"${AWS::StackName} functions: out only\"\n      SecurityGroupIngress: [{ IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 10.0.0.0/8 }]\n", "ClaimFunction: in a VPC, and FunctionSecurityGroup lets something in"},
		{"endpoints that let no function in", "SourceSecurityGroupId: !GetAtt FunctionSecurityGroup.GroupId", "SourceSecurityGroupId: !GetAtt HostSecurityGroup.GroupId", "ClaimFunction: EndpointEvents does not let FunctionSecurityGroup in"},
	} {
		t.Run(c.name, func(t *testing.T) { checkPlanted(t, good, strings.Replace(good, c.old, c.new, 1), c.want) })
	}
}

// checkPlanted wants the fault that makes bad of good found; none for "".
func checkPlanted(t *testing.T, good, bad, want string) {
	t.Helper()
	if bad == good {
		t.Fatal("the template has nothing of the kind: the test must follow it")
	}
	faults, err := stack.Lint([]byte(bad))
	if err != nil {
		t.Fatal(err)
	}
	if want == "" && len(faults) > 0 || !strings.Contains(faults.Error(), want) {
		t.Errorf("found:\n%v\nwant %q", faults, want)
	}
}

// many repeats a line with numbers.
func many(line string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, line, i)
	}
	return b.String()
}
