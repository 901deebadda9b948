package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A table is DynamoDB's side: calls that read, all strongly consistent but those of
// an index.
type table struct {
	db   *dynamodb.Client
	name string
}

// get returns the item under key; nil when there is none.
func (t table) get(ctx context.Context, key item) (item, error) {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// batchMost is how many items DynamoDB gives at once.
const batchMost = 100

// batch returns those items under keys that there are, in no order.
func (t table) batch(ctx context.Context, keys []item) (found []item, err error) {
	for len(keys) > 0 {
		n := min(len(keys), batchMost)
		ask := types.KeysAndAttributes{Keys: keys[:n], ConsistentRead: aws.Bool(true)}
		out, err := t.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{t.name: ask}})
		if err != nil {
			return nil, err
		}
		found = append(found, out.Responses[t.name]...)
		left := out.UnprocessedKeys[t.name].Keys
		if len(left) == n {
			return nil, fmt.Errorf("reading %d items: DynamoDB gave none of them", n) // it is throttled beyond the client's patience
		}
		keys = append(left, keys[n:]...)
	}
	return found, nil
}

// A selection is a query: of a partition, or of an index.
type selection struct {
	index string // "" for the table itself
	hash  string // name and
	value string // value of the hash key

	from, prefix string // sort keys from here on, or with this prefix
	below        uint64 // of an index: sequences below this; 0 for all
}

// query gives the items of s page by page, in the order of their sort key, an index's the
// highest first, until each returns false.
func (t table) query(ctx context.Context, s selection, each func(item) (more bool, err error)) error {
	in := s.input(t.name)
	for pages := dynamodb.NewQueryPaginator(t.db, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			if more, err := each(it); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

func (s selection) input(table string) *dynamodb.QueryInput {
	in := &dynamodb.QueryInput{
		TableName: &table, ConsistentRead: aws.Bool(s.index == ""), ScanIndexForward: aws.Bool(s.index == ""),
		KeyConditionExpression:    aws.String("#h = :h"),
		ExpressionAttributeNames:  map[string]string{"#h": s.hash},
		ExpressionAttributeValues: item{":h": text(s.value)},
	}
	also := func(condition, sort string, value types.AttributeValue) {
		*in.KeyConditionExpression += " AND " + condition
		in.ExpressionAttributeNames["#s"], in.ExpressionAttributeValues[":s"] = sort, value
	}
	if s.index != "" {
		in.IndexName = &s.index
	}
	switch {
	case s.from != "":
		also("#s >= :s", KeySort, text(s.from))
	case s.prefix != "":
		also("begins_with(#s, :s)", KeySort, text(s.prefix))
	case s.below > 0:
		also("#s < :s", KeySequence, number(s.below))
	}
	return in
}

// partition selects one partition of the table.
func partition(name string) selection { return selection{hash: KeyPartition, value: name} }
