package stack

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/event/transform"
)

// rule checks an EventBridge rule and its targets.
func (l *linter) rule(id string, p tree) {
	var matches *pattern.Pattern
	if p["EventPattern"] != nil {
		var err error
		if matches, err = patternOf(p["EventPattern"]); err != nil {
			l.fault(id, "pattern: %v", err)
		}
	}
	if p["ScheduleExpression"] != nil && p["EventBusName"] != nil {
		l.fault(id, "a schedule on a bus of one's own: only the default bus has schedules")
	}
	if p["EventBusName"] != nil {
		for _, source := range list(at(p, "EventPattern")["source"]) {
			if strings.HasPrefix(text(source), "aws.") {
				l.fault(id, "source %s on a bus of one's own: AWS's services tell the default bus only", source)
			}
		}
	}
	for _, target := range trees(p["Targets"]) {
		l.target(id, target)
		if target["EcsParameters"] != nil {
			l.launch(id, target, matches)
		}
	}
}

func (l *linter) target(id string, target tree) {
	arn := target["Arn"]
	if _, isFunction := l.of(arn, "AWS::Lambda::Function"); isFunction {
		l.call(id, referred(arn))
	}
	if _, isQueue := l.of(arn, "AWS::SQS::Queue"); isQueue && !l.mayBeSent(id, referred(arn)) {
		l.fault(id, "the policy of %s does not let this rule send there", referred(arn))
	}
	if strings.Contains(subOf(arn), ":log-group:") && strings.HasSuffix(subOf(arn), ":*") {
		l.fault(id, "target %s: a log group as a target is named without :*", subOf(arn))
	}
	if _, isGroup := l.of(arn, "AWS::Logs::LogGroup"); isGroup && !isRef(arn) {
		l.fault(id, "target %s.Arn ends in :*, which a log group as a target must not", referred(arn))
	}
	letters := at(target, "DeadLetterConfig")["Arn"]
	l.queue(id, letters)
	if letters != nil && !l.mayBeSent(id, referred(letters)) {
		l.fault(id, "dead letters: the policy of %s does not let this rule send there", referred(letters))
	}
	if in := at(target, "InputTransformer"); in != nil {
		if _, err := inputOf(in); err != nil {
			l.fault(id, "input: %v", err)
		}
	}
}

// call judges a rule that calls a function itself, which Lambda does as often at once as there are events.
func (l *linter) call(id, function string) {
	if l.resources[id].properties["ScheduleExpression"] == nil {
		l.fault(id, "events call %s without a queue: a burst would take the account's concurrency", function)
	}
	if !l.mayInvoke(id, function) {
		l.fault(id, "no permission lets this rule call %s", function)
	}
}

// launch judges a target that starts tasks. matches is nil when it could not be read.
func (l *linter) launch(id string, target tree, matches *pattern.Pattern) {
	ecs := at(target, "EcsParameters")
	switch strategy := ecs["CapacityProviderStrategy"]; {
	case strategy == nil:
		l.fault(id, "tasks without a capacity provider strategy: no host would be started for them")
	case ecs["LaunchType"] != nil:
		l.fault(id, "a launch type together with a capacity provider strategy: want one of them")
	}
	if target["RoleArn"] == nil {
		l.fault(id, "tasks without RoleArn: nothing could start them")
	}
	if target["DeadLetterConfig"] == nil {
		l.fault(id, "tasks without dead letters: a job whose task cannot be started would be lost")
	}
	l.mayRun(id, referred(target["RoleArn"]), ecs["TaskDefinitionArn"])
	tags := ecs["Tags"] != nil || ecs["PropagateTags"] != nil || ecs["EnableECSManagedTags"] == true
	if role := referred(target["RoleArn"]); role != "" && tags && !slices.Contains(actionsOf(l.statements(role)), "ecs:TagResource") {
		l.fault(id, "tasks with tags, and %s has no ecs:TagResource", role)
	}
	if said := at(l.resources[id].properties, "EventPattern"); matches != nil {
		if matchesReplay(matches, said, "again") {
			l.fault(id, `replayed events start tasks: want "replay-name": [{"exists": false}, {"prefix": %q}] in the pattern`, contract.LaunchPrefix)
		}
		if !matchesReplay(matches, said, contract.LaunchPrefix+"again") {
			l.fault(id, `events of mayfly replay --launch start no task: want {"prefix": %q} beside {"exists": false}`, contract.LaunchPrefix)
		}
	}
	l.overrides(id, target)
}

// mayRun finds permissions that a rule's role needs to run a task and does not have.
func (l *linter) mayRun(id, role string, arn any) {
	if !l.may(role, "ecs:RunTask", referred(arn), subOf(arn)) {
		l.fault(id, "%s may not run the task", role)
	}
	task, _ := l.taskOf(arn)
	for _, key := range []string{"TaskRoleArn", "ExecutionRoleArn"} {
		if passed := referred(task[key]); passed != "" && !l.may(role, "iam:PassRole", passed, l.roleARN(passed)) {
			l.fault(id, "%s may not pass %s to the task", role, passed)
		}
	}
}

// may reports whether role has action on a resource, named by its logical id or by one of arns, in the
// syntax of a Sub.
func (l *linter) may(role, action, resource string, arns ...string) bool {
	return slices.ContainsFunc(l.statements(role), func(s statement) bool {
		return slices.Contains(s.actions, any(action)) && slices.ContainsFunc(s.resources, func(r any) bool {
			if id := referred(r); id != "" {
				return id == resource
			}
			return covers(subOf(r), arns...)
		})
	})
}

// roleARN returns, in the syntax of a Sub, the ARN of a role whose name AWS generates.
func (l *linter) roleARN(role string) string {
	path := cmp.Or(text(l.resources[role].properties["Path"]), "/")
	return "arn:${AWS::Partition}:iam::${AWS::AccountId}:role" + path + "${AWS::StackName}-" + role + "-ABCDEFGHIJKL"
}

// overrides finds overrides for containers that the task does not have.
func (l *linter) overrides(id string, target tree) {
	in := at(target, "InputTransformer")
	transformer, err := inputOf(in)
	if in == nil || err != nil {
		return
	}
	out, err := transformer.Apply(transform.Input{Event: []byte("{}"), Ingested: time.Unix(0, 0)})
	if err != nil {
		l.fault(id, "input of an empty event: %v", err)
		return
	}
	var input struct{ ContainerOverrides []struct{ Name string } }
	if err := json.Unmarshal(out, &input); err != nil {
		l.fault(id, "input: %v: want what RunTask calls overrides", err)
	}
	task, ok := l.taskOf(at(target, "EcsParameters")["TaskDefinitionArn"])
	if !ok {
		l.fault(id, "its task definition is not in the template")
		return
	}
	containers := names(task["ContainerDefinitions"])
	for _, o := range input.ContainerOverrides {
		if !containers[o.Name] {
			l.fault(id, "overrides of container %q, which the task has not: it has %v", o.Name, slices.Sorted(maps.Keys(containers)))
		}
	}
}

// taskOf returns the task definition of an ARN, which is a reference or ends in the family without
// a revision.
func (l *linter) taskOf(arn any) (tree, bool) {
	if task, ok := l.of(arn, "AWS::ECS::TaskDefinition"); ok {
		return task, true
	}
	_, family, _ := strings.Cut(subOf(arn), ":task-definition/")
	for _, r := range l.resources {
		if r.kind == "AWS::ECS::TaskDefinition" && family != "" && subOf(r.properties["Family"]) == family {
			return r.properties, true
		}
	}
	return nil, false
}

// patternOf compiles an event pattern. A placeholder stands for each intrinsic function.
func patternOf(value any) (*pattern.Pattern, error) {
	src, err := json.Marshal(filled(value))
	if err != nil {
		return nil, err
	}
	return pattern.Parse(src)
}

// filled returns value with "x" for each intrinsic function.
func filled(value any) any {
	switch value := value.(type) {
	case []any:
		out := make([]any, len(value))
		for i, item := range value {
			out[i] = filled(item)
		}
		return out
	case tree:
		out := tree{}
		for name, item := range value {
			if name == "Ref" || strings.HasPrefix(name, "Fn::") {
				return "x"
			}
			out[name] = filled(item)
		}
		return out
	}
	return value
}

func inputOf(in tree) (*transform.Transformer, error) {
	paths := map[string]string{}
	for name, path := range at(in, "InputPathsMap") {
		paths[name] = text(path)
	}
	return transform.Parse(paths, subOf(in["InputTemplate"]))
}

// matchesReplay reports whether a pattern of plain values matches an event with these values in a
// replay called name.
func matchesReplay(p *pattern.Pattern, said tree, name string) bool {
	event, ok := sample(said).(tree)
	if !ok {
		return false
	}
	event["replay-name"] = name
	src, err := json.Marshal(event)
	return err == nil && p.Matches(src)
}

// sample returns an event with the first value of each list in a pattern.
func sample(value any) any {
	switch value := value.(type) {
	case []any:
		if len(value) > 0 {
			if _, isOperator := value[0].(tree); !isOperator {
				return value[0]
			}
		}
		return "x"
	case tree:
		out := tree{}
		for name, item := range value {
			out[name] = sample(item)
		}
		return out
	}
	return fmt.Sprint(value)
}
