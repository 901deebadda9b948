package stack

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// source finds archives and discoverers with a bus's name (its Ref) in place of its ARN.
func (l *linter) source(id string, p tree) {
	if isRef(p["SourceArn"]) {
		l.fault(id, "SourceArn is a Ref, which is the name of the bus: want its ARN")
	}
}

// url finds function URLs without the permissions that callers need.
// https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
func (l *linter) url(id string, p tree) {
	if p["AuthType"] != "NONE" {
		return
	}
	function := referred(p["TargetFunctionArn"])
	for _, action := range []string{"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"} {
		if !slices.ContainsFunc(l.permissions(function), func(q tree) bool { return q["Action"] == action && q["Principal"] == "*" }) {
			l.fault(id, "nobody may call it: want a permission %s on %s for everyone", action, function)
		}
	}
}

// permissions returns the permissions on a function.
func (l *linter) permissions(function string) (all []tree) {
	for _, r := range l.resources {
		if r.kind == "AWS::Lambda::Permission" && referred(r.properties["FunctionName"]) == function {
			all = append(all, r.properties)
		}
	}
	return all
}

// permission finds permissions that allow more than calls through a public URL, or by one rule.
func (l *linter) permission(id string, p tree) {
	everyone := p["Principal"] == "*"
	switch {
	case p["Action"] == "lambda:InvokeFunctionUrl" && p["FunctionUrlAuthType"] == nil:
		l.fault(id, "a permission on a function URL without FunctionUrlAuthType")
	case everyone && p["Action"] == "lambda:InvokeFunction" && p["InvokedViaFunctionUrl"] != true:
		l.fault(id, "everyone may invoke the function past its URL: want InvokedViaFunctionUrl")
	case !everyone && p["SourceArn"] == nil:
		l.fault(id, "the rules of every account may invoke the function: want SourceArn")
	}
}

// mayInvoke reports whether a permission lets a rule call a function.
func (l *linter) mayInvoke(rule, function string) bool {
	return slices.ContainsFunc(l.permissions(function), func(p tree) bool {
		return p["Action"] == "lambda:InvokeFunction" && p["Principal"] == "events.amazonaws.com" && referred(p["SourceArn"]) == rule
	})
}

// letters checks the destination of a function's dead letters.
func (l *linter) letters(id string, p tree) {
	queue := at(p, "DeadLetterConfig")["TargetArn"]
	if queue == nil {
		return
	}
	l.queue(id, queue)
	if !slices.Contains(actionsOf(l.statements(referred(p["Role"]))), "sqs:SendMessage") {
		l.fault(id, "dead letters: %s has no sqs:SendMessage", referred(p["Role"]))
	}
}

// queue finds dead letters that the queue would not accept.
func (l *linter) queue(id string, arn any) {
	if queue, ok := l.of(arn, "AWS::SQS::Queue"); ok && (queue["FifoQueue"] == true || strings.HasSuffix(subOf(queue["QueueName"]), ".fifo")) {
		l.fault(id, "dead letters go to the FIFO queue %s: want a standard one", referred(arn))
	}
}

// mayBeSent reports whether the policy of a queue lets a rule send to it.
func (l *linter) mayBeSent(rule, queue string) bool {
	for _, r := range l.resources {
		if r.kind != "AWS::SQS::QueuePolicy" || !slices.ContainsFunc(list(r.properties["Queues"]), func(q any) bool { return referred(q) == queue }) {
			continue
		}
		for _, s := range statementsOf(r.properties["PolicyDocument"]) {
			for _, source := range append(list(at(s.conditions, "ArnEquals")["aws:SourceArn"]), list(at(s.conditions, "ArnLike")["aws:SourceArn"])...) {
				is := referred(where(source)) == rule || covers(subOf(source), l.ruleARN(rule))
				if is && slices.Contains(s.actions, any("sqs:SendMessage")) {
					return true
				}
			}
		}
	}
	return false
}

// ruleARN returns a rule's ARN in the syntax of a Sub.
func (l *linter) ruleARN(rule string) string {
	p := l.resources[rule].properties
	name := cmp.Or(subOf(p["Name"]), "${AWS::StackName}-"+rule)
	if p["EventBusName"] != nil {
		name = "${AWS::StackName}/" + name // the bus has the stack's name
	}
	return "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/" + name
}

// secret finds values and names that must not be in the template.
func (l *linter) secret(id string, p tree) {
	if p["SecretString"] != nil || p["GenerateSecretString"] != nil {
		l.fault(id, "a value in the template: an update would overwrite what was filled in")
	}
	if p["Name"] != nil {
		l.fault(id, "a fixed name: it stays taken for days after the stack is gone")
	}
}

// repository checks the name of an ECR repository and its lifecycle policy.
func (l *linter) repository(id string, p tree) {
	name := subOf(p["RepositoryName"])
	if fixed := variable.ReplaceAllString(name, ""); name == "" || fixed != strings.ToLower(fixed) {
		l.fault(id, "repository name %q: want one, in lower case: CloudFormation would make one that ECR refuses", name)
	}
	l.json(id, "LifecyclePolicyText", at(p, "LifecyclePolicy")["LifecyclePolicyText"])
	if p["EmptyOnDelete"] != true {
		l.fault(id, "without EmptyOnDelete the stack cannot be deleted")
	}
}

func (l *linter) dashboard(id string, p tree) { l.json(id, "DashboardBody", p["DashboardBody"]) }

// json finds texts that should be JSON and are not.
func (l *linter) json(id, name string, value any) {
	if value == nil {
		return
	}
	var v any
	if err := json.Unmarshal([]byte(variable.ReplaceAllString(subOf(value), "x")), &v); err != nil {
		l.fault(id, "%s: %v", name, err)
	}
}

// group checks an Auto Scaling group that a capacity provider manages.
func (l *linter) group(id string, p tree) {
	if p["DesiredCapacity"] != nil {
		l.fault(id, "a desired capacity: each update would set it back")
	}
}

// capacity checks a capacity provider and its group.
func (l *linter) capacity(id string, p tree) {
	provider := at(p, "AutoScalingGroupProvider")
	group, known := l.of(provider["AutoScalingGroupArn"], "AWS::AutoScaling::AutoScalingGroup")
	if known && provider["ManagedTerminationProtection"] == "ENABLED" && group["NewInstancesProtectedFromScaleIn"] != true {
		l.fault(id, "termination protection, and %s does not protect its instances from scale-in", referred(provider["AutoScalingGroupArn"]))
	}
	for _, taken := range []string{"aws", "ecs", "fargate"} {
		if strings.HasPrefix(subOf(p["Name"]), taken) {
			l.fault(id, "name %s: ECS keeps names with %s to itself", subOf(p["Name"]), taken)
		}
	}
}

// host checks what tasks can access on their host.
func (l *linter) host(id string, p tree) {
	metadata := at(p, "LaunchTemplateData", "MetadataOptions")
	if metadata["HttpTokens"] != "required" || metadata["HttpPutResponseHopLimit"] != uint64(1) {
		l.fault(id, "tasks could ask for their host's credentials: want HttpTokens required and a hop limit of 1")
	}
	for _, m := range trees(at(p, "LaunchTemplateData")["BlockDeviceMappings"]) {
		if at(m, "Ebs")["Encrypted"] != true {
			l.fault(id, "disk %s is not encrypted", m["DeviceName"])
		}
	}
}
