package simulation

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// TestSmall is a first look.
func TestSmall(t *testing.T) {
	begun := time.Now()
	w := play(t, scenario{name: "small", jobs: 20, over: 10 * time.Second, lasts: span{30 * time.Second, 90 * time.Second}, hosts: 20, within: 2 * time.Hour})
	t.Log(w.report(), time.Since(begun))
	for _, f := range w.faults {
		t.Error(f)
	}
	_ = os.Stdout
}

func (w *world) report() string {
	s := w.starts()
	out := fmt.Sprintf("start p50 %v p99 %v recorded %v ended %v tries %.2f started %.2f\n%+v\n", at(s, .5), at(s, .99), w.allRecorded(), w.tally.ended, float64(w.tally.tries)/float64(w.tally.commits), w.perJob(w.tally.started), w.tally)
	for id, f := range w.lambda.functions {
		out += fmt.Sprintf("%s peak %d %+v\n", id, f.peak, f.counts)
	}
	return out
}
