package dynamo_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestBatchIsFewTransactions: a hundred events of jobs, half of which get a runner, are a handful of transactions.
func TestBatchIsFewTransactions(t *testing.T) {
	b := newBench(t)
	b.limits.Pools[0].Max = 50
	commits := 0
	s := b.with(dynamodb.NewFromConfig(onCommit(b.cloud.Config, func(commit func() error) error {
		commits++
		return commit()
	})))
	var ins []ledger.Input
	for id := range int64(100) {
		ins = append(ins, job(id+1, event.ActionQueued))
	}
	results, err := s.ApplyAll(t.Context(), ins)
	if err != nil || len(results) != 100 || commits > 3 {
		t.Errorf("%d results, %v, in %d transactions: want all in three at most", len(results), err, commits)
	}
	if got := len(b.wanted()); got != 50 {
		t.Errorf("%d runners wanted: want 50", got)
	}
	b.sound(start)
}
