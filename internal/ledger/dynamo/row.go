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

// An item is what DynamoDB keeps under one key.
type item = map[string]types.AttributeValue

func keyOf(partition, sort string) item {
	return item{KeyPartition: text(partition), KeySort: text(sort)}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n uint64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(n, 10)}
}

// textOf returns the text of an attribute; "" when it is not there.
func textOf(it item, name string) string {
	s, _ := it[name].(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

// numberOf returns the number of an attribute; 0 when it is not there.
func numberOf(it item, name string) uint64 {
	n, _ := it[name].(*types.AttributeValueMemberN)
	if n == nil {
		return 0
	}
	v, _ := strconv.ParseUint(n.Value, 10, 64) // as number wrote it
	return v
}

// byVersion is the sort key of what is kept by version, in whose order such keys are.
func byVersion(v uint64) string { return fmt.Sprintf("%020d", v) }

// A row is a job or a runner as it is kept: one of the two is zero, and both of one that cannot be read.
type row struct {
	name      string // its sort key
	partition string // its partition
	version   uint64 // the one that wrote it
	seq       uint64 // where it stands in lists: the newer the higher
	job       ledger.Job
	runner    ledger.Runner
	fault     error // why it cannot be read; nil if it can
}

func jobName(key ledger.JobKey) string         { return prefixJob + key.String() }
func runnerName(name ledger.RunnerName) string { return prefixRunner + string(name) }

// jobRow and runnerRow say where a job or runner belongs.
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

// partitionsOf are where the row called name may lie.
func partitionsOf(name string) []string { return []string{partOpen, partUnroutable, name} }

// item returns what is kept of r. What is open stays, the rest until expires.
func (r row) item(expires time.Time) (item, error) {
	it := keyOf(r.partition, r.name)
	it[attrVersion], it[KeySequence] = number(r.version), number(r.seq)
	var v any = r.job
	it[KeyKind] = text(kindJob)
	if r.runner.Name != "" {
		v = r.runner
		it[KeyKind], it[KeyMadeFor] = text(kindRunner), text(r.runner.MadeFor.String())
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

// rowOf reads what item wrote. One that cannot be read stays where it is, and counts for nothing
// but the sum of what is open.
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

// A head is what all that is open hangs on: who writes replaces it, and only the one
// that it read.
type head struct {
	version  uint64 // counts the writes; 0 before the first
	instance string
	sum      uint64 // of the rows that are open: see sum
}

func (h head) item() item {
	it := keyOf(partOpen, sortHead)
	it[attrVersion], it[attrInstance], it[attrSum] = number(h.version), text(h.instance), number(h.sum)
	return it
}

func headOf(it item) head {
	return head{numberOf(it, attrVersion), textOf(it, attrInstance), numberOf(it, attrSum)}
}

// sum is a digest of which rows are open, in which versions. A query gives no more
// than items that were committed: of a transaction that commits meanwhile, one half and not
// the other. Rows with the head's sum are those of the head's version.
func sum(rows map[string]row) (total uint64) {
	for _, r := range rows {
		h := fnv.New64a()
		_, _ = io.WriteString(h, r.name) // a hash takes everything
		_, _ = fmt.Fprintf(h, "@%d", r.version)
		total += h.Sum64()
	}
	return total
}
