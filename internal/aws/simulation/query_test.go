package simulation

import (
	"context"
	"slices"
	"strings"
)

// query is Query: one page, in the order of the sort key.
func (t *table) query(ctx context.Context, body []byte) (any, error) {
	var in struct {
		TableName, IndexName, KeyConditionExpression string
		ExpressionAttributeNames                     map[string]string
		ExpressionAttributeValues                    item
		ConsistentRead, ScanIndexForward             *bool
		ExclusiveStartKey                            item
		Limit                                        int
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if err := t.takes(ctx, readPage); err != nil {
		return nil, err
	}
	k := t.main
	if in.IndexName != "" {
		k = t.indexes[in.IndexName]
	}
	hash, from, match, known := conditions(in.KeyConditionExpression, in.ExpressionAttributeValues)
	if k == nil || !known {
		t.fault("the query %s of %s is not simulated", in.KeyConditionExpression, in.IndexName)
		return nil, &refusal{status: 400, code: "ValidationException", message: in.KeyConditionExpression}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := k.of(hash)
	first, _ := c.find(from)
	var items []item
	for _, it := range c.items[first:] {
		if !match(it[k.sort]) {
			break
		}
		items = append(items, it)
	}
	if in.ScanIndexForward != nil && !*in.ScanIndexForward {
		slices.Reverse(items)
	}
	items = after(items, in.ExclusiveStartKey, t.keyOf)
	page, bytes, last := []item{}, 0, item(nil)
	for i, it := range items {
		bytes += size(it)
		page = append(page, it)
		if i+1 < len(items) && (bytes >= pageBytes || in.Limit > 0 && len(page) == in.Limit) {
			last = t.keyOf(it)
			last[k.hash], last[k.sort] = it[k.hash], it[k.sort]
			break
		}
	}
	if err := t.read(k, hash, bytes, in.ConsistentRead != nil && *in.ConsistentRead); err != nil {
		return nil, err
	}
	out := map[string]any{"Items": page, "Count": len(page), "ScannedCount": len(page)}
	if last != nil {
		out["LastEvaluatedKey"] = last
	}
	return out, nil
}

// after returns what comes after the item of a key.
func after(items []item, start item, keyOf func(item) item) []item {
	if start == nil {
		return items
	}
	for i, it := range items {
		same := true
		for name, v := range keyOf(it) {
			same = same && v.compare(start[name]) == 0
		}
		if same {
			return items[i+1:]
		}
	}
	return nil
}

// conditions reads a key condition: the hash key equals a value, and there may be one condition more on the sort key.
// What it selects begins at from, and goes on for as long as match says.
func conditions(expression string, values item) (hash string, from value, match func(value) bool, known bool) {
	all := func(value) bool { return true }
	first, second, two := strings.Cut(expression, " AND ")
	fields := strings.Fields(first)
	if len(fields) != 3 || fields[1] != "=" {
		return "", from, nil, false
	}
	hash = values[fields[2]].text()
	if !two {
		return hash, from, all, true
	}
	if inside, ok := strings.CutPrefix(second, "begins_with("); ok {
		_, name, _ := strings.Cut(strings.TrimSuffix(inside, ")"), ", ")
		prefix := values[name]
		return hash, prefix, func(v value) bool { return strings.HasPrefix(v.text(), prefix.text()) }, true
	}
	fields = strings.Fields(second)
	if len(fields) != 3 {
		return "", from, nil, false
	}
	switch to := values[fields[2]]; fields[1] {
	case "=":
		return hash, to, func(v value) bool { return v.compare(to) == 0 }, true
	case ">=":
		return hash, to, all, true
	case "<":
		return hash, from, func(v value) bool { return v.compare(to) < 0 }, true
	}
	return "", from, nil, false
}
