package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A table is the reading side of DynamoDB. All reads are strongly consistent, except those of an
// index.
type table struct {
	db   *dynamodb.Client
	name string
}

// get returns the item under key; nil if there is none.
func (t table) get(ctx context.Context, key item) (item, error) {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// batchMost is how many items DynamoDB returns at once.
const batchMost = 100

// batch returns the existing items under keys, in no order.
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
			return nil, fmt.Errorf("reading %d items: DynamoDB gave none of them", n) // throttled beyond the client's retries
		}
		keys = append(left, keys[n:]...)
	}
	return found, nil
}

// A selection is a query of a partition or of an index.
type selection struct {
	index string // "" for the table itself
	hash  string // name of the hash key
	value string // value of the hash key

	from, prefix string // from and prefix select sort keys: from this one on, or with this prefix
	below        uint64 // of an index: only sequences below this; 0 for all
}

// query passes the items of s to each, page by page, until it returns false: in the order of their
// sort key, those of an index in reverse.
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
