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

// newInstance returns a random prefix for the runner names of a new ledger.
func newInstance() string { return strings.ToLower(rand.Text()[:6]) }

// keepLog is how long log entries are kept: how long a process may sleep and still catch up by the
// log.
const keepLog = time.Hour

// commit writes w, all of it or nothing. The error is errConflict if another process has written
// that version already.
func (l *Ledger) commit(ctx context.Context, w write) error {
	items, err := l.transaction(w)
	if err != nil {
		return err
	}
	if len(items) > 100 {
		return fmt.Errorf("%d items change at once: want at most 100, which DynamoDB takes", len(items))
	}
	_, err = l.table.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	// An error may be a lost answer to a transaction that took place. The next refresh shows which:
	// either the head has w's version, or nothing of w exists.
	return conflict(err)
}

// transaction returns the items of w: the head, the log entry, the rows and the effects. The
// condition on the head serializes all writers; no other item needs one.
func (l *Ledger) transaction(w write) ([]types.TransactWriteItem, error) {
	items := []types.TransactWriteItem{l.replace(w.head), l.put(l.logEntry(w))}
	for _, r := range w.after {
		// The partition is part of the key, so a row that is settled or gone moves: delete and put.
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

// replace writes the head on condition that the stored one is the previous version. This condition
// is what makes concurrent writers safe.
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

// logEntry returns the log's item for w: the names of the rows it writes.
func (l *Ledger) logEntry(w write) item {
	var names []string
	for _, r := range w.after {
		names = append(names, r.name)
	}
	it := keyOf(partLog, byVersion(w.head.version))
	it[attrNames], it[TTL] = text(strings.Join(names, "\n")), number(uint64(w.now.Add(keepLog).Unix()))
	return it
}

// conflict returns errConflict for a transaction that was cancelled because of other writers: the
// head had changed, an item was being written, or the table was throttled. A retry from the newest
// version may succeed.
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
