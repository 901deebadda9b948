package simulation

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestSmall is a first look.
func TestSmall(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("N"))
	until, _ := time.ParseDuration(os.Getenv("UNTIL"))
	begun := time.Now()
	w := play(t, scenario{name: "small", jobs: n, over: 10 * time.Second, lasts: span{30 * time.Second, 90 * time.Second}, hosts: 100, within: 4 * time.Hour, until: until})
	t.Log(w.report(), time.Since(begun))
	for _, f := range w.faults {
		t.Log("FAULT", f)
	}
}

func (w *world) report() string {
	s := w.starts()
	unrecorded := 0
	for _, j := range w.github.jobs {
		if j.recorded.IsZero() {
			unrecorded++
		}
	}
	w.tally.answers = nil
	out := fmt.Sprintf("start p50 %v p99 %v recorded %v ended %v tries %.2f started %.2f unrecorded %d\n%+v\n", at(s, .5), at(s, .99), w.allRecorded(), w.tally.ended, float64(w.tally.tries)/float64(w.tally.commits), w.perJob(w.tally.started), unrecorded, w.tally)
	for id, f := range w.lambda.functions {
		out += fmt.Sprintf("%s peak %d %+v\n", id, f.peak, f.counts)
	}
	return out
}
