package deploy

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// changeOf reads what AWS says of one resource. A replacement that AWS calls conditional depends
// on what becomes of another resource, and [settleReplacements] decides it, or on the property itself.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
func changeOf(r *types.ResourceChange) Change {
	c := Change{
		Action: string(r.Action), Resource: aws.ToString(r.LogicalResourceId), Type: aws.ToString(r.ResourceType),
		Replaced: r.Replacement == types.ReplacementTrue, physical: aws.ToString(r.PhysicalResourceId),
	}
	switch r.PolicyAction {
	case types.PolicyActionRetain, types.PolicyActionReplaceAndRetain:
		c.Kept = true
	}
	if r.Replacement != types.ReplacementConditional {
		return c
	}
	for _, d := range r.Details {
		if d.Target == nil || d.Target.RequiresRecreation == types.RequiresRecreationNever {
			continue
		}
		cause, _, _ := strings.Cut(aws.ToString(d.CausingEntity), ".")
		switch {
		case d.ChangeSource == types.ChangeSourceResourceAttribute || d.ChangeSource == types.ChangeSourceResourceReference:
			c.causes = append(c.causes, cause)
		case c.Type != typeGroup: // AWS replaces a group only by an update policy, which the template has not
			c.Replaced = true
		}
	}
	return c
}

// settleReplacements marks the changes that replace a resource because what it refers to is replaced.
func settleReplacements(changes []Change) {
	replaced := map[string]bool{}
	for again := true; again; {
		again = false
		for i := range changes {
			c := &changes[i]
			for _, cause := range c.causes {
				c.Replaced = c.Replaced || replaced[cause]
			}
			if c.Replaced && !replaced[c.Resource] {
				replaced[c.Resource], again = true, true
			}
		}
	}
}
