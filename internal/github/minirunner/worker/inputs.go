package worker

import (
	"fmt"
	"slices"
	"strings"
)

// inputs are those of the action: what the step gives, and the action's defaults
// for the rest (ActionRunner.cs). Case does not tell names apart.
func (t *task) inputs() (map[string]string, error) {
	given, err := t.message.Inputs.texts(t.scope())
	if err != nil {
		return nil, fmt.Errorf("with: %w", err)
	}
	all := map[string]string{}
	var valid, unexpected []string
	for _, in := range t.action.inputs {
		valid = append(valid, in.name)
		name, isGiven := find(given, in.name)
		switch {
		case isGiven && in.deprecated != "":
			t.step.warn(fmt.Sprintf("Input '%s' has been deprecated with message: %s", in.name, in.deprecated))
			fallthrough
		case isGiven:
			all[in.name] = given[name]
		default:
			if all[in.name], err = in.value.text(t.scope()); err != nil {
				return nil, fmt.Errorf("default of input %s: %w", in.name, err)
			}
		}
	}
	if t.action.runs.using == "docker" { // these every Docker action takes
		valid = append(valid, "entryPoint", "args")
	}
	for _, name := range sortedKeys(given) {
		if !slices.ContainsFunc(valid, func(v string) bool { return strings.EqualFold(v, name) }) {
			unexpected = append(unexpected, name)
		}
		if _, declared := find(all, name); !declared {
			all[name] = given[name]
		}
	}
	if len(unexpected) > 0 {
		t.step.warn(fmt.Sprintf("Unexpected input(s) '%s', valid inputs are ['%s']", strings.Join(unexpected, "', '"), strings.Join(valid, "', '")))
	}
	return all, nil
}

// find returns the key of texts that is name but for case.
func find(texts map[string]string, name string) (string, bool) {
	for key := range texts {
		if strings.EqualFold(key, name) {
			return key, true
		}
	}
	return "", false
}

// logAction logs the action that runs, as Handler.cs does.
func (t *task) logAction(inputs map[string]string) {
	t.step.log("##[group]Run " + t.message.Reference.full())
	if len(inputs) > 0 {
		t.step.log("with:")
	}
	for _, in := range t.action.inputs {
		if value := inputs[in.name]; value != "" {
			t.step.log("  " + in.name + ": " + value)
		}
	}
	t.logEnv()
	t.step.log("##[endgroup]")
}
