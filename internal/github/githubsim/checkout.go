package githubsim

import _ "embed"

// checkoutAction is a composite action that does what most workflows begin with.
//
//go:embed checkout/action.yml
var checkoutAction string

// checkoutVersions are the tags that workflows ask for.
var checkoutVersions = [...]string{"v3", "v4", "v5", "v6"}

// Checkout is the repository that most workflows use an action of.
const Checkout = "actions/checkout"

// AddCheckout adds [Checkout] with an action of the
// simulator's own, so that workflows that use it run where GitHub is out of reach.
func (s *Sim) AddCheckout() error {
	if err := s.CreateRepository(Repository{Name: Checkout}); err != nil {
		return err
	}
	if _, err := s.Push(Push{Repository: Checkout, Files: map[string]string{"action.yml": checkoutAction}}); err != nil {
		return err
	}
	for _, v := range checkoutVersions {
		if err := s.AddTag(Tag{Repository: Checkout, Name: v}); err != nil {
			return err
		}
	}
	return nil
}
