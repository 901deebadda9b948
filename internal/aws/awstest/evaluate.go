package awstest

import "reflect"

// evaluated returns the resources of a template whose conditions hold, with parameters at their
// defaults and branches taken.
func evaluated(template map[string]any) map[string]resource {
	e := evaluation{parameters: map[string]any{}, conditions: map[string]any{}}
	parameters, _ := template["Parameters"].(map[string]any)
	for name, p := range parameters {
		if value, set := p.(map[string]any)["Default"]; set {
			e.parameters[name] = value
		}
	}
	e.conditions, _ = template["Conditions"].(map[string]any)
	all := map[string]resource{}
	resources, _ := template["Resources"].(map[string]any)
	for id, r := range resources {
		r, _ := r.(map[string]any)
		if name, ok := r["Condition"].(string); ok && !e.holds(map[string]any{"Condition": name}) {
			continue
		}
		kind, _ := r["Type"].(string)
		deletion, _ := r["DeletionPolicy"].(string)
		replacement, _ := r["UpdateReplacePolicy"].(string)
		all[id] = resource{kind, deletion, replacement, e.value(r["Properties"])}
	}
	return all
}

type evaluation struct{ parameters, conditions map[string]any }

type noValue struct{}

// value returns v with references to parameters and conditions resolved.
func (e evaluation) value(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["Ref"].(string); ok {
			if name == "AWS::NoValue" {
				return noValue{}
			}
			if value, known := e.parameters[name]; known {
				return value
			}
		}
		if branches, ok := v["Fn::If"].([]any); ok {
			if e.holds(map[string]any{"Condition": branches[0]}) {
				return e.value(branches[1])
			}
			return e.value(branches[2])
		}
		all := map[string]any{}
		for key, member := range v {
			if value := e.value(member); value != (noValue{}) {
				all[key] = value
			}
		}
		return all
	case []any:
		all := []any{}
		for _, item := range v {
			if value := e.value(item); value != (noValue{}) {
				all = append(all, value)
			}
		}
		return all
	}
	return v
}

// holds evaluates a condition, or the name of one.
func (e evaluation) holds(condition any) bool {
	c, _ := condition.(map[string]any)
	if name, ok := c["Condition"].(string); ok {
		return e.holds(e.conditions[name])
	}
	if list, ok := c["Fn::Not"].([]any); ok {
		return !e.holds(list[0])
	}
	if list, ok := c["Fn::Equals"].([]any); ok {
		return reflect.DeepEqual(e.value(list[0]), e.value(list[1]))
	}
	return false
}
