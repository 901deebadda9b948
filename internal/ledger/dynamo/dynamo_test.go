package dynamo_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/ledger/ledgertest"
)

// with returns c with f around each call of an operation.
func with(c aws.Config, operation string, f func(context.Context, middleware.InitializeInput, middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error)) aws.Config {
	c = c.Copy()
	c.APIOptions = append(slices.Clip(c.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("test", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			if awsmiddleware.GetOperationName(ctx) != operation {
				return next.HandleInitialize(ctx, in)
			}
			return f(ctx, in, next)
		}), middleware.After)
	})
	return c
}

// onCommit has commit called in place of each transaction.
func onCommit(c aws.Config, commit func(func() error) error) aws.Config {
	return with(c, "TransactWriteItems", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, md middleware.Metadata, err error) {
		err = commit(func() error {
			out, md, err = next.HandleInitialize(ctx, in)
			return err
		})
		return out, md, err
	})
}

// onQuery tells of each query which partition it reads.
func onQuery(c aws.Config, tell func(partition string)) aws.Config {
	return with(c, "Query", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		if name, ok := in.Parameters.(*dynamodb.QueryInput).ExpressionAttributeValues[":h"].(*types.AttributeValueMemberS); ok {
			tell(name.Value)
		}
		return next.HandleInitialize(ctx, in)
	})
}

// opener returns what opens stores in tables of cloud, one for each folder.
func opener(cloud *awstest.Cloud) ledgertest.Open {
	return func(t *testing.T, c ledgertest.Config) ledger.Store {
		sdk := cloud.Config
		if c.Commit != nil {
			sdk = onCommit(sdk, c.Commit)
		}
		name := "ledger-" + filepath.Base(filepath.Dir(c.Dir)) + "-" + filepath.Base(c.Dir)
		return dynamo.New(makeTable(t, cloud, sdk, name), dynamo.Config{
			Table: name, Limits: c.Limits, Now: c.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
			Emit: func(_ context.Context, effects []ledger.Effect) error { return c.Emit(effects) },
		})
	}
}

// makeTable makes the table called name, unless it is there, and returns a client.
func makeTable(t testing.TB, cloud *awstest.Cloud, sdk aws.Config, name string) *dynamodb.Client {
	t.Helper()
	client := dynamodb.NewFromConfig(sdk)
	if _, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}); err == nil {
		return client
	}
	if _, err := client.CreateTable(t.Context(), awstest.LedgerTable(name)); err != nil {
		t.Fatal(err)
	}
	return client
}

func TestContract(t *testing.T) {
	ledgertest.Test(t, opener(awstest.Start(t)))
}
