package inspect

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestChecks: each thing that needs a person is a check of its own, with what to do; what
// works and nobody has looked at is told beside it, and not among what needs a person.
func TestChecks(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	v := &Status{
		Unknown: true, Images: &Images{Alarms: []image.Alarm{{Message: "no image"}}}, Dead: counted, Held: 2,
		Backlogs: []eventlog.Backlog{{Rule: "mine", Pending: 3, Failing: 1, Oldest: now.Add(-time.Minute)}, {Rule: "fine", Pending: 1}},
		Aside:    []ledger.Unreadable{{Row: "job 7", Reason: "no key"}},
		Drift:    []SchemaDrift{{Schema: "s@T", Changes: 3, First: "detail.a: added"}},
	}
	parts := []Check{
		{Name: "database", State: StateOK, Detail: "database: works"}, {Name: "github", State: StateUnknown, Detail: "github: not looked at yet"},
		{Name: "launcher", State: StateFault, Detail: "launcher: does not answer", Fix: "start the engine"},
	}
	v.Health = v.checks(Health{Running: true, Words: "mayfly up is running", Parts: parts}, now)
	if first := v.Health[0]; first != (Check{Name: CheckService, State: StateOK, Detail: "mayfly up is running"}) {
		t.Errorf("first is %+v", first)
	}
	if diff := cmp.Diff(parts[2:], v.Parts()); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	want := [][3]string{
		{CheckLimits, "unknown", LimitsUnknown},
		{CheckImage, "fault", "no image"},
		{"rule mine", "warning", "rule mine: 1 of 3 deliveries have failed and are tried again, the oldest for 1m00s"},
		{CheckLetters, "warning", "1000+ dead letters: mayfly dlq list shows why"},
		{CheckQuarantine, "warning", "2 deliveries in quarantine, without what routing needs: mayfly quarantine list shows why"},
		{CheckLedger, "fault", "the ledger cannot read job 7 and goes on without it: no key"},
		{"schema s@T", "warning", "schema s@T has changed: detail.a: added and 2 more: mayfly schema drift s@T"},
	}
	var got [][3]string
	for _, c := range v.Findings() {
		got = append(got, [3]string{c.Name, string(c.State), c.String()})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	well := &Status{Images: &Images{}}
	well.Health = well.checks(Health{Running: true, Words: "fine"}, now)
	if len(well.Parts())+len(well.Findings()) != 0 || len(well.Health) != 1 {
		t.Errorf("a Mayfly that is well: %+v", well.Health)
	}
	stopped := &Status{Images: &Images{}}
	if stopped.Health = stopped.checks(Health{Words: "not running"}, now); stopped.Health[0].State != StateFault {
		t.Errorf("one that does not run: %+v", stopped.Health)
	}
}
