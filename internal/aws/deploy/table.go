package deploy

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// UnprotectTable lets the ledger's table be deleted, as the template does not.
func UnprotectTable(ctx context.Context, a *Account, stack string) error {
	table, api := stack+"-ledger", dynamodb.NewFromConfig(a.Config)
	there, err := api.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if notThere(err) || err == nil && !aws.ToBool(there.Table.DeletionProtectionEnabled) {
		return nil
	}
	if err == nil {
		_, err = api.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: &table, DeletionProtectionEnabled: aws.Bool(false)})
	}
	if err != nil {
		return fmt.Errorf("deletion protection of table %s: %w", table, err)
	}
	return nil
}
