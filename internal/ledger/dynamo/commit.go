package dynamo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// newInstance chooses what the names of a new ledger's runners begin with.
func newInstance() string { return strings.ToLower(rand.Text()[:6]) }

// keepLog is how long the log goes back: as long as a process may sleep and still catch up.
const keepLog = time.Hour

// commit writes w, all of it or nothing. The error is errConflict when another has
// written that version.
func (l *Ledger) commit(ctx context.Context, w write) error {
	items, err := l.transaction(w)
	if err != nil {
		return err
	}
	if len(items) > 100 {
		return fmt.Errorf("%d items change at once: want at most 100, which DynamoDB takes", len(items))
	}
	_, err = l.table.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	return conflict(err)
}

// transaction returns the items of w, the head first.
func (l *Ledger) transaction(w write) ([]types.TransactWriteItem, error) {
	items := []types.TransactWriteItem{l.replace(w.head), l.put(l.logEntry(w))}
	for _, r := range w.after {
		if old, ok := w.before[r.name]; ok && old.partition != r.partition {
			items = append(items, types.TransactWriteItem{Delete: &types.Delete{TableName: &l.table.name, Key: keyOf(old.partition, old.name)}})
		}
		it, err := r.item(w.now.Add(l.config.Keep))
		if err != nil {
			return nil, err
		}
		items = append(items, l.put(it))
	}
	if len(w.effects) == 0 {
		return items, nil
	}
	it, err := outboxItem(w)
	return append(items, l.put(it)), err
}

func (l *Ledger) put(it item) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{TableName: &l.table.name, Item: it}}
}

// replace writes the head, if the one that is there is the one before.
func (l *Ledger) replace(h head) types.TransactWriteItem {
	put := l.put(h.item())
	if h.version == 1 {
		put.Put.ConditionExpression = aws.String("attribute_not_exists(" + KeyPartition + ")")
		return put
	}
	put.Put.ConditionExpression = aws.String("#v = :before")
	put.Put.ExpressionAttributeNames = map[string]string{"#v": attrVersion}
	put.Put.ExpressionAttributeValues = item{":before": number(h.version - 1)}
	return put
}

// logEntry is what the log keeps of w.
func (l *Ledger) logEntry(w write) item {
	var names []string
	for _, r := range w.after {
		names = append(names, r.name)
	}
	it := keyOf(partLog, byVersion(w.head.version))
	it[attrNames], it[TTL] = text(strings.Join(names, "\n")), number(uint64(w.now.Add(keepLog).Unix()))
	return it
}

// conflict returns errConflict for a transaction that did not come about because of others:
// the head was another, an item was being written, or all of them were too many.
//
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func conflict(err error) error {
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		return err
	}
	for _, why := range cancelled.CancellationReasons {
		switch aws.ToString(why.Code) {
		case "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			return fmt.Errorf("%w: %s", errConflict, aws.ToString(why.Code))
		}
	}
	return err
}
