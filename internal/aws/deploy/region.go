package deploy

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"golang.org/x/sync/errgroup"
)

// Lacks returns those of kinds, types of resources, that the account's region does not have, sorted.
// CloudFormation refuses a template with one of them as a whole, even if a condition leaves it out.
// Where it may not be asked, none is known to be missing.
func (a *Account) Lacks(ctx context.Context, kinds []string) (lacks []string, err error) {
	api := cloudformation.NewFromConfig(a.Config)
	var mu sync.Mutex // guards lacks
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(4)
	for _, kind := range kinds {
		work.Go(func() error {
			_, err := api.DescribeType(ctx, &cloudformation.DescribeTypeInput{Type: types.RegistryTypeResource, TypeName: aws.String(kind)})
			if notThere(err) { // https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeType.html
				mu.Lock()
				defer mu.Unlock()
				lacks = append(lacks, kind)
				return nil
			}
			if err = ignoreDenied(err); err != nil {
				return fmt.Errorf("type %s in region %s: %w", kind, a.Region(), err)
			}
			return nil
		})
	}
	err = work.Wait()
	slices.Sort(lacks)
	return lacks, err
}
