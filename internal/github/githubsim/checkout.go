package githubsim

import _ "embed"

// checkoutAction is a composite action that does what most workflows begin with.
//
//go:embed checkout/action.yml
var checkoutAction string

// checkoutVersions are the tags that workflows ask for.
var checkoutVersions = [...]string{"v3", "v4", "v5", "v6"}

// AddCheckout adds the repository actions/checkout with an action of the
// simulator's own, so that workflows that use it run where GitHub is out of reach.
func (s *Sim) AddCheckout() error {
	const name = "actions/checkout"
	if err := s.CreateRepository(Repository{Name: name}); err != nil {
		return err
	}
	if _, err := s.Push(Push{Repository: name, Files: map[string]string{"action.yml": checkoutAction}}); err != nil {
		return err
	}
	for _, v := range checkoutVersions {
		if err := s.AddTag(Tag{Repository: name, Name: v}); err != nil {
			return err
		}
	}
	return nil
}
