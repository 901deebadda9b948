package awstest

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
)

// LedgerTable returns the request that creates the table called name. TTL is enabled by another call, on
// the attribute [dynamo.TTL].
func LedgerTable(name string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName:   aws.String(name),
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(dynamo.KeyPartition), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(dynamo.KeySort), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(dynamo.KeyKind), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(dynamo.KeyMadeFor), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(dynamo.KeyImage), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(dynamo.KeySequence), AttributeType: types.ScalarAttributeTypeN},
		},
		KeySchema: keys(dynamo.KeyPartition, dynamo.KeySort),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			{IndexName: aws.String(dynamo.IndexNewest), KeySchema: keys(dynamo.KeyKind, dynamo.KeySequence), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
			{IndexName: aws.String(dynamo.IndexJob), KeySchema: keys(dynamo.KeyMadeFor, dynamo.KeySequence), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
			{IndexName: aws.String(dynamo.IndexImage), KeySchema: keys(dynamo.KeyImage, dynamo.KeySequence), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
		},
	}
}

func keys(hash, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: aws.String(hash), KeyType: types.KeyTypeHash},
		{AttributeName: aws.String(sort), KeyType: types.KeyTypeRange},
	}
}
