package dynamo

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// An item is a DynamoDB item or key.
type item = map[string]types.AttributeValue

func keyOf(partition, sort string) item {
	return item{KeyPartition: text(partition), KeySort: text(sort)}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n uint64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(n, 10)}
}

// textOf returns the text of an attribute; "" if there is none.
func textOf(it item, name string) string {
	s, _ := it[name].(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

// numberOf returns the number of an attribute; 0 if there is none.
func numberOf(it item, name string) uint64 {
	n, _ := it[name].(*types.AttributeValueMemberN)
	if n == nil {
		return 0
	}
	v, _ := strconv.ParseUint(n.Value, 10, 64) // number wrote it
	return v
}

// byVersion returns a sort key for items kept by version, which orders them numerically.
func byVersion(v uint64) string { return fmt.Sprintf("%020d", v) }

// A row is the stored form of a job or a runner. One of the two is zero; both are if it cannot be
// read.
type row struct {
	name      string // its sort key
	partition string // its partition
	version   uint64 // the version that wrote it
	seq       uint64 // position in lists: newer is higher
	job       ledger.Job
	runner    ledger.Runner
	fault     error // why it cannot be read; nil if it can
}

func jobName(key ledger.JobKey) string         { return prefixJob + key.Number() }
func runnerName(name ledger.RunnerName) string { return prefixRunner + string(name) }

// jobRow and runnerRow decide in which partition a job or runner is stored: open ones together, so
// that one query reads them; unroutable jobs together; all others under their own name.
func jobRow(j ledger.Job) row {
	r := row{name: jobName(j.Key), partition: partOpen, job: j}
	switch {
	case j.State == ledger.JobUnroutable, j.State == ledger.JobHosted:
		r.partition = partUnroutable
	case j.Settled():
		r.partition = r.name
	}
	return r
}

func runnerRow(v ledger.Runner) row {
	r := row{name: runnerName(v.Name), partition: partOpen, runner: v}
	if !v.Live() {
		r.partition = r.name
	}
	return r
}

// partitionsOf returns the partitions that may have the row called name.
func partitionsOf(name string) []string { return []string{partOpen, partUnroutable, name} }

// item returns the item of r. Open rows are kept; the others expire.
func (r row) item(expires time.Time) (item, error) {
	it := keyOf(r.partition, r.name)
	it[attrVersion], it[KeySequence] = number(r.version), number(r.seq)
	var v any = r.job
	it[KeyKind] = text(kindJob)
	if r.runner.Name != "" {
		v = r.runner
		it[KeyKind] = text(kindRunner)
		if !r.runner.Warm() { // a key of an index must not be empty
			it[KeyMadeFor] = text(r.runner.MadeFor.String())
		}
		if _, known := r.runner.Outcome(); known {
			it[KeyImage] = text(r.runner.Image)
		}
	}
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	it[attrBody] = text(string(body))
	if r.partition != partOpen {
		it[TTL] = number(uint64(expires.Unix()))
	}
	return it, nil
}

// rowOf decodes what row.item encoded. A row that cannot be read stays where it is, and counts only
// for the sum of the open rows.
func rowOf(it item) (r row) {
	r = row{
		name: textOf(it, KeySort), partition: textOf(it, KeyPartition),
		version: numberOf(it, attrVersion), seq: numberOf(it, KeySequence),
	}
	var v any = &r.job
	if textOf(it, KeyKind) == kindRunner {
		v = &r.runner
	}
	if err := json.Unmarshal([]byte(textOf(it, attrBody)), v); err != nil {
		r.job, r.runner, r.fault = ledger.Job{}, ledger.Runner{}, fmt.Errorf("decoding %s: %w", r.name, err)
	}
	return r
}

// A head is the item that all writers replace, and only the one that they read.
type head struct {
	version  uint64 // number of writes; 0 before the first
	instance string
	sum      uint64 // of the open rows: see sum
}

func (h head) item() item {
	it := keyOf(partOpen, sortHead)
	it[attrVersion], it[attrInstance], it[attrSum] = number(h.version), text(h.instance), number(h.sum)
	return it
}

func headOf(it item) head {
	return head{numberOf(it, attrVersion), textOf(it, attrInstance), numberOf(it, attrSum)}
}

// sum is a digest of the open rows and their versions. A query returns committed items only, but of
// a transaction that commits meanwhile it may return one half. Rows whose sum equals the head's are
// exactly those of the head's version. Addition makes the order of rows irrelevant.
func sum(rows map[string]row) (total uint64) {
	for _, r := range rows {
		total += r.digest()
	}
	return total
}

// digest is what r, if it is open, adds to the sum.
func (r row) digest() uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, r.name) // a hash never fails
	_, _ = fmt.Fprintf(h, "@%d", r.version)
	return h.Sum64()
}
