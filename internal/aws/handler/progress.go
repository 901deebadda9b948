package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// A progress is the detail of an event about how far a runner has come.
type progress struct {
	Runner ledger.RunnerName `json:"runner"`
	Task   string            `json:"task"`
	Phase  string            `json:"phase"`
}

// A telling is the ledger of a claim whose runner's progress, which nobody waits for, goes there by the bus: hundreds
// of runners that come to listen at once would each meet the other writers of the ledger, whose function takes them
// in one turn.
type telling struct {
	claim.Ledger
	task    string
	publish func(context.Context, ...event.Event) error
	now     func() time.Time
}

// Report implements claim.Ledger.
func (l telling) Report(ctx context.Context, runner string, r claim.Report) error {
	name := ledger.RunnerName(runner)
	if pipeline.Progress(name, r.Phase) == nil {
		return l.Ledger.Report(ctx, runner, r)
	}
	return publish(ctx, l.publish, l.now(), contract.TypeRunnerReported, progress{name, l.task, r.Phase})
}

// progress tells the ledger how far runners have come.
func (l *Ledger) progress(ctx context.Context, list []event.Event) (errs []error) {
	errs = make([]error, len(list))
	var of []int
	var ins []ledger.Input
	for i, e := range list {
		var p progress
		if err := json.Unmarshal(e.Detail, &p); err != nil {
			errs[i] = fmt.Errorf("detail of %q: %w: %w", e.DetailType, pipeline.ErrNotProcessable, err)
		} else if in := pipeline.Progress(p.Runner, p.Phase); in == nil {
			errs[i] = fmt.Errorf("phase %q of runner %s: %w: the claim function reports it itself", p.Phase, p.Runner, pipeline.ErrNotProcessable)
		} else {
			of, ins = append(of, i), append(ins, in)
		}
	}
	done, err := l.Pipeline.Ledger.ApplyAll(ctx, ins)
	for _, i := range of[len(done):] {
		errs[i] = err
	}
	return errs
}
