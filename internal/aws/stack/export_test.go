package stack

import "fmt"

// Granted returns the actions that a role of the template may take, sorted.
func Granted(body []byte, role string) ([]string, error) {
	t, err := Read(body)
	if err != nil {
		return nil, err
	}
	l := &linter{tree: t, resources: resources(t)}
	if l.resources[role].kind != "AWS::IAM::Role" {
		return nil, fmt.Errorf("%s: no role of that name", role)
	}
	return actionsOf(l.statements(role)), nil
}
