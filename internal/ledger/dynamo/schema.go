package dynamo

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The table. Its template on AWS has these names, too; a test holds both together.
//
//	partition (pk)         sort key (sk)        what
//	open                   head                 the version of all that is open, and the ledger's instance
//	open                   job#acme/web/123/1   a job that is not settled
//	open                   runner#NAME          a live runner
//	unroutable             job#acme/web/123/1   a job that fits no pool, until it has run elsewhere
//	job#acme/web/123/1     the same             a settled job
//	runner#NAME            the same             a runner that is gone
//	log                    version              which items that version wrote
//	outbox                 version              effects of that version, until they are sent
//
// The indexes hold jobs and runners wherever they lie, by the order in which they were
// first written.
const (
	KeyPartition = "pk" // S, hash key of the table
	KeySort      = "sk" // S, range key of the table

	IndexNewest = "newest"   // index of jobs and of runners, all attributes
	KeyKind     = "kind"     // S, hash key of IndexNewest: "job" or "runner"
	IndexJob    = "made_for" // index of a job's runners, all attributes
	KeyMadeFor  = "made_for" // S, hash key of IndexJob: key of the job
	IndexImage  = "image"    // index of the runners whose start from an image came out, all attributes
	KeyImage    = "image"    // S, hash key of IndexImage: what they were started from
	KeySequence = "seq"      // N, range key of all indexes

	TTL = "expires" // N, seconds since 1970: when DynamoDB may delete the item
)

// The other attributes.
const (
	attrBody     = "body"     // S, JSON of a job, a runner, or effects
	attrVersion  = "version"  // N, the version that wrote the item
	attrInstance = "instance" // S, of the head
	attrSum      = "sum"      // N, of the head: see sum
	attrNames    = "names"    // S, of a log entry: sort keys of what was written, one a line
	attrAt       = "at"       // N, of effects: when they were decided, in milliseconds since 1970
)

// Partitions and prefixes of sort keys.
const (
	partOpen       = "open"
	partUnroutable = "unroutable"
	partLog        = "log"
	partOutbox     = "outbox"
	sortHead       = "head"
	prefixJob      = "job#"
	prefixRunner   = "runner#"
	kindJob        = "job"
	kindRunner     = "runner"
)

// Table returns what makes the table called name; its TTL is switched on apart, on
// the attribute [TTL].
func Table(name string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName:   aws.String(name),
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(KeyPartition), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(KeySort), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(KeyKind), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(KeyMadeFor), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(KeyImage), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(KeySequence), AttributeType: types.ScalarAttributeTypeN},
		},
		KeySchema: keys(KeyPartition, KeySort),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			{IndexName: aws.String(IndexNewest), KeySchema: keys(KeyKind, KeySequence), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
			{IndexName: aws.String(IndexJob), KeySchema: keys(KeyMadeFor, KeySequence), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
			{IndexName: aws.String(IndexImage), KeySchema: keys(KeyImage, KeySequence), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
		},
	}
}

func keys(hash, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: aws.String(hash), KeyType: types.KeyTypeHash},
		{AttributeName: aws.String(sort), KeyType: types.KeyTypeRange},
	}
}
