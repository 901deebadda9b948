package ledgertest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

func testLists(t *testing.T, open Open) {
	var emitted []ledger.Effect
	s := open(t, config(t, &emitted))
	var names []ledger.RunnerName
	for id := range int64(5) {
		names = append(names, queue(t, s, id+1))
	}
	apply(t, s, seen(3, event.ActionCompleted))

	ids := func(q ledger.JobQuery) (ids []int64) {
		jobs, err := s.Jobs(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			ids = append(ids, j.Key.ID)
		}
		return ids
	}
	for _, test := range []struct {
		query ledger.JobQuery
		want  []int64
	}{
		{ledger.JobQuery{}, []int64{5, 4, 3, 2, 1}},
		{ledger.JobQuery{Limit: 2}, []int64{5, 4}},
		{ledger.JobQuery{Limit: 2, After: key(4)}, []int64{3, 2}},
		{ledger.JobQuery{Open: true}, []int64{5, 4, 2, 1}},
		{ledger.JobQuery{States: []ledger.JobState{ledger.JobCompleted, ledger.JobRunning}}, []int64{3}},
		{ledger.JobQuery{Key: key(2)}, []int64{2}},
		{ledger.JobQuery{Repository: "acme/web", Limit: 2}, []int64{5, 4}},
		{ledger.JobQuery{Repository: "acme/", After: key(2)}, []int64{1}},
		{ledger.JobQuery{Repository: "acme"}, nil},
		{ledger.JobQuery{Repository: "acme/we"}, nil},
		{ledger.JobQuery{Pool: "small", Open: true}, []int64{5, 4, 2, 1}},
		{ledger.JobQuery{Pool: "large"}, nil},
		{ledger.JobQuery{Conclusion: "success"}, []int64{3}},
		{ledger.JobQuery{Conclusion: "failure"}, nil},
		{ledger.JobQuery{Text: "WEB/4/"}, []int64{4}},
		{ledger.JobQuery{Text: "100%"}, nil},
		{ledger.JobQuery{Text: "web", States: []ledger.JobState{ledger.JobCompleted, ledger.JobRunning}}, []int64{3}},
		{ledger.JobQuery{Since: at}, []int64{5, 4, 3, 2, 1}},
		{ledger.JobQuery{Since: at.Add(time.Hour)}, nil},
	} {
		if diff := cmp.Diff(test.want, ids(test.query)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.query, diff)
		}
	}
	for _, test := range []struct {
		query ledger.RunnerQuery
		want  []ledger.RunnerName
	}{
		{ledger.RunnerQuery{Limit: 1}, names[4:]},
		{ledger.RunnerQuery{After: names[1]}, names[:1]},
		{ledger.RunnerQuery{Live: true, After: names[3]}, []ledger.RunnerName{names[1], names[0]}},
		{ledger.RunnerQuery{Job: key(2)}, names[1:2]},
		{ledger.RunnerQuery{Name: names[0]}, names[:1]},
	} {
		runners, err := s.Runners(t.Context(), test.query)
		if err != nil {
			t.Fatal(err)
		}
		var got []ledger.RunnerName
		for _, r := range runners {
			got = append(got, r.Name)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.query, diff)
		}
	}
	if _, err := s.Runners(t.Context(), ledger.RunnerQuery{Name: "nobody"}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a runner that is not there: %v: want %v", err, ledger.ErrNotFound)
	}
}

// testImages: a start counts for its image from the moment that it is known how it went,
// and still does when the runner has gone.
func testImages(t *testing.T, open Open) {
	var emitted []ledger.Effect
	c := config(t, &emitted)
	s := open(t, c)
	const image, other = "sha256:a", "sha256:b"
	var names []ledger.RunnerName
	for id := range int64(6) {
		names = append(names, queue(t, s, id+1))
	}
	listening := func(name ledger.RunnerName, image string) []ledger.Input {
		return []ledger.Input{ledger.Starting{Runner: name}, ledger.Started{Runner: name, Image: image}, ledger.Claim{Runner: name}, ledger.Idle{Runner: name}}
	}
	for _, in := range slices.Concat(
		listening(names[0], image),
		[]ledger.Input{ledger.Starting{Runner: names[1], Image: image}, ledger.Gone{Runner: names[1], Reason: "not started: no such program"}},
		[]ledger.Input{ledger.Starting{Runner: names[2], Image: image}, ledger.Gone{Runner: names[2], Reason: "not started: the engine is away", Outside: true}},
		listening(names[3], other),
		[]ledger.Input{ledger.Starting{Runner: names[4], Image: image}},
		listening(names[5], image),
	) {
		apply(t, s, in)
	}
	check := func(q ledger.RunnerQuery, want ...ledger.RunnerName) {
		t.Helper()
		runners, err := s.Runners(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var got []ledger.RunnerName
		for _, r := range runners {
			got = append(got, r.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", q, diff)
		}
	}
	check(ledger.RunnerQuery{Image: image}, names[5], names[1], names[0])
	check(ledger.RunnerQuery{Image: image, Limit: 2}, names[5], names[1])
	check(ledger.RunnerQuery{Image: image, Live: true}, names[5], names[0])
	check(ledger.RunnerQuery{Image: other}, names[3])
	check(ledger.RunnerQuery{Image: "sha256:none"})
	apply(t, s, ledger.Gone{Runner: names[5]})
	s = open(t, c)
	check(ledger.RunnerQuery{Image: image}, names[5], names[1], names[0])
	check(ledger.RunnerQuery{Image: image, After: names[5]}, names[1], names[0])
}

func testSnapshot(t *testing.T, open Open) {
	var emitted []ledger.Effect
	s := open(t, config(t, &emitted))
	queue(t, s, 1)
	snapshot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if faults := snapshot.Invariants(at); faults != nil {
		t.Errorf("snapshot: %v", faults)
	}
	snapshot.Apply(seen(1, event.ActionCompleted), at)
	if got := job(t, s, 1).State; got != ledger.JobQueued {
		t.Errorf("job is %s after its copy was changed: want %s", got, ledger.JobQueued)
	}
}
