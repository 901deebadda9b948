package handler_test

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestBatchOfTheQueue: of the events of a batch, one that cannot be taken keeps no other from being taken.
func TestBatchOfTheQueue(t *testing.T) {
	s := newStage(t)
	bad := s.aboutJob(99, "queued")
	bad.Detail = []byte(`{"action":"queued"}`)
	list := []event.Event{bad}
	for id := range int64(40) {
		list = append(list, s.aboutJob(id+1, "queued"))
	}
	list = append(list, s.aboutTask("a", "RUNNING", "another", nil, "")) // a task of others
	errs := s.ledger.Handle(t.Context(), list)
	for i, err := range errs {
		if (err != nil) != (i == 0) {
			t.Errorf("event %d: %v: want an error of the first alone", i, err)
		}
	}
	jobs, err := s.store.Jobs(t.Context(), ledger.JobQuery{Limit: 100})
	if err != nil || len(jobs) != 40 {
		t.Errorf("%d jobs, %v: want all but the one without its fields", len(jobs), err)
	}
}
