package awstest

import (
	_ "embed"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

//go:embed updates.txt
var updatesTable string

// Changes returns what CloudFormation's change set says of an update from one template to another,
// each as aws/stack reads it, with the defaults of its parameters. It follows AWS's resource schemas
// ([updatesTable]) in what is replaced; a resource that refers to another which is replaced is said to be
// replaced conditionally, with its cause, as AWS does.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
func Changes(before, after map[string]any) (all []types.ResourceChange) {
	old, wanted := evaluated(before), evaluated(after)
	for _, id := range slices.Sorted(maps.Keys(old)) {
		if _, there := wanted[id]; !there {
			all = append(all, changeOf(types.ChangeActionRemove, id, old[id]))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		was, there := old[id]
		if !there {
			all = append(all, changeOf(types.ChangeActionAdd, id, wanted[id]))
			continue
		}
		if c, changed := modified(id, was, wanted[id]); changed {
			all = append(all, c)
		}
	}
	return dependants(all, old, wanted)
}

// A resource is one of a template whose conditions hold.
type resource struct {
	kind, deletion, replacement string // its policies
	properties                  any
}

func changeOf(action types.ChangeAction, id string, r resource) types.ResourceChange {
	c := types.ResourceChange{Action: action, LogicalResourceId: &id, ResourceType: &r.kind, PhysicalResourceId: aws.String("ci-" + id)}
	if action == types.ChangeActionRemove {
		c.PolicyAction = types.PolicyActionDelete
		if r.deletion == "Retain" {
			c.PolicyAction = types.PolicyActionRetain
		}
	}
	return c
}

// modified compares a resource's properties, by those that only its creation sets.
func modified(id string, was, is resource) (types.ResourceChange, bool) {
	c := changeOf(types.ChangeActionModify, id, is)
	c.Replacement = types.ReplacementFalse
	always, sometimes := createOnly(is.kind)
	for _, path := range slices.Concat(always, sometimes) {
		if reflect.DeepEqual(property(was.properties, path), property(is.properties, path)) {
			continue
		}
		how := types.RequiresRecreationAlways
		if slices.Contains(sometimes, path) {
			how = types.RequiresRecreationConditionally
		}
		c.Details = append(c.Details, types.ResourceChangeDetail{
			ChangeSource: types.ChangeSourceDirectModification, Evaluation: types.EvaluationTypeStatic,
			Target: &types.ResourceTargetDefinition{Attribute: types.ResourceAttributeProperties, Name: &path, RequiresRecreation: how},
		})
		if how == types.RequiresRecreationAlways {
			c.Replacement = types.ReplacementTrue
		} else if c.Replacement == types.ReplacementFalse {
			c.Replacement = types.ReplacementConditional
		}
	}
	if c.Replacement != types.ReplacementFalse && is.replacement == "Retain" {
		c.PolicyAction = types.PolicyActionReplaceAndRetain
	}
	return c, !reflect.DeepEqual(was, is)
}

// dependants adds resources that refer to a changed one where only their creation can.
func dependants(all []types.ResourceChange, old, wanted map[string]resource) []types.ResourceChange {
	for i := 0; i < len(all); i++ {
		cause := aws.ToString(all[i].LogicalResourceId)
		if all[i].Action != types.ChangeActionModify {
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(wanted)) {
			if _, there := old[id]; !there {
				continue
			}
			always, _ := createOnly(wanted[id].kind)
			for _, path := range always {
				if !refers(property(wanted[id].properties, path), cause) {
					continue
				}
				all = conditional(all, id, wanted[id], path, cause)
			}
		}
	}
	return all
}

// conditional says of a resource that it is replaced if cause is.
func conditional(all []types.ResourceChange, id string, r resource, path, cause string) []types.ResourceChange {
	at := slices.IndexFunc(all, func(c types.ResourceChange) bool { return aws.ToString(c.LogicalResourceId) == id })
	if at < 0 {
		all, at = append(all, changeOf(types.ChangeActionModify, id, r)), len(all)
		all[at].Replacement = types.ReplacementConditional
	}
	if all[at].Replacement == types.ReplacementFalse {
		all[at].Replacement = types.ReplacementConditional
	}
	all[at].Details = append(all[at].Details, types.ResourceChangeDetail{
		ChangeSource: types.ChangeSourceResourceAttribute, Evaluation: types.EvaluationTypeDynamic, CausingEntity: aws.String(cause + ".Arn"),
		Target: &types.ResourceTargetDefinition{Attribute: types.ResourceAttributeProperties, Name: &path, RequiresRecreation: types.RequiresRecreationAlways},
	})
	return all
}

// createOnly returns the properties of a type that only its creation sets, always and sometimes.
func createOnly(kind string) (always, sometimes []string) {
	for line := range strings.Lines(updatesTable) {
		first, second, _ := strings.Cut(line, "|")
		if fields := strings.Fields(first); len(fields) > 0 && fields[0] == kind {
			return fields[1:], strings.Fields(second)
		}
	}
	return nil, nil
}

// property returns what a path such as Provider/Arn leads to.
func property(properties any, path string) any {
	for name := range strings.SplitSeq(path, "/") {
		of, _ := properties.(map[string]any)
		properties = of[name]
	}
	return properties
}

// refers reports whether a value has a Ref, GetAtt or Sub of a resource.
func refers(value any, id string) bool {
	switch value := value.(type) {
	case map[string]any:
		if list, ok := value["Fn::GetAtt"].([]any); ok && list[0] == id || value["Ref"] == id {
			return true
		}
		for _, v := range value {
			if refers(v, id) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, func(v any) bool { return refers(v, id) })
	case string:
		return strings.Contains(value, "${"+id+"}") || strings.Contains(value, "${"+id+".")
	}
	return false
}
