package deploy

import "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

// ChangesOf reads changes as those of a change set.
func ChangesOf(set []types.ResourceChange) (all []Change) {
	for _, r := range set {
		all = append(all, changeOf(&r))
	}
	settleReplacements(all)
	return all
}
