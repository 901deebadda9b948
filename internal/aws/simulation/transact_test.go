package simulation

import (
	"context"
	"strings"
)

// The writes of DynamoDB.
type (
	put struct {
		TableName string
		Item      item
		condition
	}
	remove struct {
		TableName string
		Key       item
		condition
	}
	condition struct {
		ConditionExpression                               string
		ExpressionAttributeNames                          map[string]string
		ExpressionAttributeValues                         item
		ReturnValuesOnConditionCheckFailure, ReturnValues string
	}
	write struct {
		Put            *put
		Delete         *remove
		ConditionCheck *remove
	}
)

// target returns what a write is about: its key, the new item, nil for none, and its condition.
func (t *table) target(w write) (key, it item, c condition) {
	switch {
	case w.Put != nil:
		return t.keyOf(w.Put.Item), w.Put.Item, w.Put.condition
	case w.Delete != nil:
		return w.Delete.Key, nil, w.Delete.condition
	}
	return w.ConditionCheck.Key, t.get(w.ConditionCheck.Key), w.ConditionCheck.condition
}

// holds reports whether an item is as c wants it. It knows the conditions that the ledger and the catalog make.
func (c condition) holds(it item) (ok, known bool) {
	for part := range strings.SplitSeq(c.ConditionExpression, " AND ") {
		fields := strings.Fields(part)
		switch {
		case part == "":
		case strings.HasPrefix(part, "attribute_not_exists("):
			if _, there := it[c.attribute(part[len("attribute_not_exists("):len(part)-1])]; there {
				return false, true
			}
		case strings.HasPrefix(part, "attribute_exists("):
			if _, there := it[c.attribute(part[len("attribute_exists("):len(part)-1])]; !there {
				return false, true
			}
		case len(fields) == 3 && fields[1] == "=":
			if v, there := it[c.attribute(fields[0])]; !there || v.compare(c.ExpressionAttributeValues[fields[2]]) != 0 {
				return false, true
			}
		default:
			return false, false
		}
	}
	return true, true
}

func (c condition) attribute(name string) string {
	if real, ok := c.ExpressionAttributeNames[name]; ok {
		return real
	}
	return name
}

// writeOne is PutItem and DeleteItem: refused while a transaction has the item.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
func (t *table) writeOne(ctx context.Context, w write) (any, error) {
	if err := t.takes(ctx, writeItem); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key, it, c := t.target(w)
	if t.locked[t.name(key)] {
		return nil, &refusal{status: 400, code: "TransactionConflictException", message: "a transaction has the item"}
	}
	if !t.charge(key, it, 1) {
		t.tally.slowed++
		return nil, throttled
	}
	switch ok, known := c.holds(t.get(key)); {
	case !known:
		t.faultLocked("the condition %q is not simulated", c.ConditionExpression)
		fallthrough
	case !ok:
		return nil, &refusal{status: 400, code: "ConditionalCheckFailedException", message: "The conditional request failed"}
	}
	t.set(key, it)
	return map[string]any{}, nil
}

// transact is TransactWriteItems: its items are its own from its beginning to its end, and another transaction that
// wants one of them is cancelled. One that is cancelled has taken its capacity, too.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func (t *table) transact(ctx context.Context, body []byte) (any, error) {
	var in struct {
		TransactItems      []write
		ClientRequestToken string
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if len(in.TransactItems) > 100 {
		return nil, &refusal{status: 400, code: "ValidationException", message: "more than 100 items"}
	}
	t.mu.Lock()
	t.tally.tries++
	if t.tokens[in.ClientRequestToken] {
		t.mu.Unlock()
		return map[string]any{}, nil
	}
	reasons := t.lock(in.TransactItems)
	t.mu.Unlock()
	err := t.takes(context.WithoutCancel(ctx), transact) // one whose caller has gone is carried out
	t.mu.Lock()
	defer t.mu.Unlock()
	if reasons == nil {
		reasons = t.check(in.TransactItems)
		t.unlock(in.TransactItems)
	}
	if reasons != nil {
		return nil, &refusal{status: 400, code: "TransactionCanceledException", message: "Transaction cancelled", more: map[string]any{"CancellationReasons": reasons}}
	}
	for _, w := range in.TransactItems {
		if key, it, _ := t.target(w); w.ConditionCheck == nil {
			t.set(key, it)
		}
	}
	t.tally.commits++
	t.tokens[in.ClientRequestToken] = true
	return map[string]any{}, err
}

// lock takes the items, or says why that cannot be.
func (t *table) lock(list []write) (reasons []any) {
	no := false
	for _, w := range list {
		key, it, _ := t.target(w)
		code := "None"
		switch {
		case !t.charge(key, it, 2):
			code, no = "ThrottlingError", true
			t.tally.slowed++
		case t.locked[t.name(key)]:
			code, no = "TransactionConflict", true
			t.tally.conflicts++
		}
		reasons = append(reasons, map[string]any{"Code": code})
	}
	if no {
		return reasons
	}
	for _, w := range list {
		key, _, _ := t.target(w)
		t.locked[t.name(key)] = true
	}
	return nil
}

func (t *table) unlock(list []write) {
	for _, w := range list {
		key, _, _ := t.target(w)
		delete(t.locked, t.name(key))
	}
}

// check looks at the conditions.
func (t *table) check(list []write) (reasons []any) {
	no := false
	for _, w := range list {
		key, _, c := t.target(w)
		code := "None"
		ok, known := c.holds(t.get(key))
		if !known {
			t.faultLocked("the condition %q is not simulated", c.ConditionExpression)
		}
		if !ok {
			code, no = "ConditionalCheckFailed", true
			t.tally.overtaken++
		}
		reasons = append(reasons, map[string]any{"Code": code})
	}
	if no {
		return reasons
	}
	return nil
}
