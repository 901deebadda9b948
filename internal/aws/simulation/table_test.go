package simulation

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// An item is one of DynamoDB, as its JSON has it.
type item = map[string]value

// A value is text or a number; the ledger uses no others.
type value struct {
	S *string `json:",omitempty"`
	N *string `json:",omitempty"`
}

func (v value) text() string {
	switch {
	case v.S != nil:
		return *v.S
	case v.N != nil:
		return *v.N
	}
	return ""
}

// compare orders two values as a sort key does; the zero value is before all others.
func (v value) compare(o value) int {
	if v.N != nil && o.N != nil {
		a, _ := strconv.ParseUint(*v.N, 10, 64)
		b, _ := strconv.ParseUint(*o.N, 10, 64)
		return cmp.Compare(a, b)
	}
	return strings.Compare(v.text(), o.text())
}

// size is what an item counts as.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
func size(it item) (n int) {
	for name, v := range it {
		n += len(name) + len(v.text())
	}
	return n
}

func units(bytes, per int) float64 { return float64(max((bytes+per-1)/per, 1)) }

// A collection is the items of one hash key, in the order of the sort key.
type collection struct {
	items []item
	sort  string // name of the sort key
}

func (c *collection) find(key value) (int, bool) {
	i := sort.Search(len(c.items), func(i int) bool { return c.items[i][c.sort].compare(key) >= 0 })
	return i, i < len(c.items) && c.items[i][c.sort].compare(key) == 0
}

func (c *collection) put(it item) {
	if i, found := c.find(it[c.sort]); found {
		c.items[i] = it
	} else {
		c.items = slices.Insert(c.items, i, it)
	}
}

func (c *collection) remove(key value) {
	if i, found := c.find(key); found {
		c.items = slices.Delete(c.items, i, i+1)
	}
}

// A keyed is a table or an index: collections by hash key.
type keyed struct {
	hash, sort  string
	collections map[string]*collection
	writes      map[string]*bucket // by hash key: each is a partition of its own at best
	reads       map[string]*bucket
}

func newKeyed(hash, sort string) *keyed {
	return &keyed{hash, sort, map[string]*collection{}, map[string]*bucket{}, map[string]*bucket{}}
}

func (k *keyed) of(hash string) *collection {
	c := k.collections[hash]
	if c == nil {
		c = &collection{sort: k.sort}
		k.collections[hash] = c
	}
	return c
}

// has reports whether the index holds it.
func (k *keyed) has(it item) bool { return it[k.hash].text() != "" && it[k.sort].text() != "" }

// written returns what the index writes when an item replaces old: both where its place there changes.
func (k *keyed) written(old, it item) (list []item) {
	same := old != nil && it != nil && old[k.hash].text() == it[k.hash].text() && old[k.sort].text() == it[k.sort].text()
	if old != nil && k.has(old) && !same {
		list = append(list, old)
	}
	if it != nil && k.has(it) {
		list = append(list, it)
	}
	return list
}

// take takes from what a partition grants in a second.
func take(of map[string]*bucket, hash string, rate, n float64) bool {
	b := of[hash]
	if b == nil {
		b = newBucket(rate, rate)
		of[hash] = b
	}
	return b.take(time.Now(), n)
}

// A table is the ledger's, in DynamoDB. Its items and indexes are guarded by mu.
type table struct {
	*world
	main    *keyed
	indexes map[string]*keyed
	locked  map[string]bool // items that a transaction writes
	tokens  map[string]bool // of transactions that were carried out
}

// newTable opens the table of the template.
func newTable(w *world) *table {
	type schema []struct{ AttributeName, KeyType string }
	var p struct {
		KeySchema              schema
		GlobalSecondaryIndexes []struct {
			IndexName string
			KeySchema schema
		}
	}
	w.stack.Read("Ledger", &p)
	of := func(s schema) *keyed { return newKeyed(s[0].AttributeName, s[1].AttributeName) }
	t := &table{world: w, main: of(p.KeySchema), indexes: map[string]*keyed{}, locked: map[string]bool{}, tokens: map[string]bool{}}
	for _, i := range p.GlobalSecondaryIndexes {
		t.indexes[i.IndexName] = of(i.KeySchema)
	}
	return t
}

func (t *table) name(it item) string { return it[t.main.hash].text() + "\x00" + it[t.main.sort].text() }

// get returns the item under key; nil when there is none.
func (t *table) get(key item) item {
	c := t.main.of(key[t.main.hash].text())
	if i, found := c.find(key[t.main.sort]); found {
		return c.items[i]
	}
	return nil
}

// set writes an item into the table and its indexes, or removes what is under key.
func (t *table) set(key, it item) {
	old := t.get(key)
	for _, index := range t.indexes {
		if old != nil && index.has(old) {
			index.of(old[index.hash].text()).remove(old[index.sort])
		}
		if it != nil && index.has(it) {
			index.of(it[index.hash].text()).put(it)
		}
	}
	c := t.main.of(key[t.main.hash].text())
	if it == nil {
		c.remove(key[t.main.sort])
		return
	}
	c.put(it)
	t.github.recorded(it[t.main.sort].text())
}

// charge takes the capacity of writing an item over old, times as often: from the table's partition and from those of
// the indexes, whose lack holds up writes to the table.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/gsi-throttling.html
func (t *table) charge(key, it item, times float64) bool {
	old := t.get(key)
	n := units(max(size(it), size(old)), 1024)
	ok := take(t.main.writes, key[t.main.hash].text(), partitionWrites, n*times)
	t.tally.writes += n * times
	for _, index := range t.indexes {
		for _, one := range index.written(old, it) {
			n := units(size(one), 1024)
			t.tally.writes += n
			ok = take(index.writes, one[index.hash].text(), partitionWrites, n) && ok
		}
	}
	return ok
}

// openRows is how many rows the ledger has open: what a try to commit has to look at.
func (t *table) openRows() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.main.of("open").items)
}

// computing is what a call makes the ledger compute beside the call itself.
func (t *table) computing(service, operation string, body []byte) time.Duration {
	if service != "DynamoDB" {
		return 0
	}
	rows := time.Duration(t.openRows())
	switch {
	case operation == "TransactWriteItems":
		return rows * cpuRowKept
	case operation == "Query" && (strings.Contains(string(body), `{"S":"log"}`) || strings.Contains(string(body), `{"S":"open"}`)):
		return rows * cpuRowRead
	}
	return 0
}

// serve is DynamoDB's API, as far as the ledger calls it.
func (t *table) serve(ctx context.Context, operation string, body []byte) (any, error) {
	f, ok := map[string]func(context.Context, []byte) (any, error){
		"GetItem": t.getItem, "BatchGetItem": t.batchGetItem, "Query": t.query, "PutItem": t.putItem, "DeleteItem": t.deleteItem,
		"TransactWriteItems": t.transact,
	}[operation]
	if !ok {
		t.fault("DynamoDB's %s is not simulated", operation)
		return nil, &refusal{status: 400, code: "ValidationException", message: operation}
	}
	return f(ctx, body)
}

var throttled = &refusal{status: 400, code: "ProvisionedThroughputExceededException", message: "a partition's throughput"}

// read takes the capacity of reading from a partition.
func (t *table) read(k *keyed, hash string, bytes int, consistent bool) error {
	n := units(bytes, 4096)
	if !consistent {
		n /= 2
	}
	t.tally.reads += n
	if !take(k.reads, hash, partitionReads, n) {
		t.tally.slowed++
		return throttled
	}
	return nil
}

func (t *table) getItem(ctx context.Context, body []byte) (any, error) {
	var in struct {
		TableName      string
		Key            item
		ConsistentRead bool
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if err := t.takes(ctx, readItem); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	it := t.get(in.Key)
	if err := t.read(t.main, in.Key[t.main.hash].text(), size(it), in.ConsistentRead); err != nil || it == nil {
		return map[string]any{}, err
	}
	return map[string]any{"Item": it}, nil
}

func (t *table) batchGetItem(ctx context.Context, body []byte) (any, error) {
	var in struct {
		RequestItems map[string]struct {
			Keys           []item
			ConsistentRead bool
		}
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if err := t.takes(ctx, readPage); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	found, left := map[string][]item{}, map[string]any{}
	for name, ask := range in.RequestItems {
		var unread []item
		found[name] = []item{}
		for _, key := range ask.Keys {
			it := t.get(key)
			if t.read(t.main, key[t.main.hash].text(), size(it), ask.ConsistentRead) != nil {
				unread = append(unread, key)
			} else if it != nil {
				found[name] = append(found[name], it)
			}
		}
		if len(unread) == len(ask.Keys) {
			return nil, throttled
		}
		if len(unread) > 0 {
			left[name] = map[string]any{"Keys": unread, "ConsistentRead": ask.ConsistentRead}
		}
	}
	return map[string]any{"Responses": found, "UnprocessedKeys": left}, nil
}

func (t *table) putItem(ctx context.Context, body []byte) (any, error) {
	var in put
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	return t.writeOne(ctx, write{Put: &in})
}

func (t *table) deleteItem(ctx context.Context, body []byte) (any, error) {
	var in remove
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	return t.writeOne(ctx, write{Delete: &in})
}

// keyOf returns the key of an item.
func (t *table) keyOf(it item) item {
	return item{t.main.hash: it[t.main.hash], t.main.sort: it[t.main.sort]}
}
