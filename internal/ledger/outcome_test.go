package ledger_test

import (
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// TestOutcome says which starts count for their image, and which against it.
func TestOutcome(t *testing.T) {
	const name = "i-small-1-1-1"
	starting, started := ledger.Starting{Runner: name, Image: "sha256:a"}, ledger.Started{Runner: name}
	claim, gone := ledger.Claim{Runner: name}, ledger.Gone{Runner: name, ExitCode: 1}
	outside := gone
	outside.Outside = true
	for what, test := range map[string]struct {
		life  []ledger.Input
		wait  time.Duration // before the last of them, with a sweep
		well  bool
		known bool
	}{
		"it listens":                        {life: []ledger.Input{starting, started, claim, ledger.Idle{Runner: name}}, well: true, known: true},
		"it listened and is gone":           {life: []ledger.Input{starting, started, claim, ledger.Idle{Runner: name}, gone}, well: true, known: true},
		"it is busy without word":           {life: []ledger.Input{starting, started, claim, ledger.Busy{Runner: name}, outside}, well: true, known: true},
		"GitHub's word comes after its end": {life: []ledger.Input{starting, started, claim, gone, running(1, "on="+name)}, well: true, known: true},
		"it is on its way":                  {life: []ledger.Input{starting, started, claim}},
		"it ends before":                    {life: []ledger.Input{starting, started, claim, gone}, known: true},
		"it ends before anybody saw it run": {life: []ledger.Input{starting, gone}, known: true},
		"its image comes with its end":      {life: []ledger.Input{ledger.Starting{Runner: name}, ledger.Gone{Runner: name, Image: "sha256:a"}}, known: true},
		"nobody knows its image":            {life: []ledger.Input{ledger.Starting{Runner: name}, started, gone}},
		"its end comes from outside":        {life: []ledger.Input{starting, started, outside}},
		"its container was not found":       {life: []ledger.Input{starting, started, claim, ledger.Found{}}},
		"it is not needed":                  {life: []ledger.Input{starting, started, done(1, "conclusion=cancelled"), gone}},
		"it cannot be registered":           {life: []ledger.Input{starting, started, claim, ledger.Failed{Runner: name, Reason: "403"}, gone}},
		"it does not claim in time":         {life: []ledger.Input{starting, started, gone}, wait: 3 * time.Minute, known: true},
		"it did not claim, from outside":    {life: []ledger.Input{starting, started, outside}, wait: 3 * time.Minute},
		"its launcher is late":              {life: []ledger.Input{starting, gone}, wait: 3 * time.Minute},
	} {
		t.Run(what, func(t *testing.T) {
			s := tell(t, twoPools())
			s.is(queued(1), "+"+name)
			for i, in := range test.life {
				if i == len(test.life)-1 && test.wait > 0 {
					s.now = s.now.Add(test.wait)
					s.state.Apply(ledger.Tick{}, s.now)
				}
				s.state.Apply(in, s.now)
			}
			r, _ := s.state.Runner(name)
			if well, known := r.Outcome(); well != test.well || known != test.known {
				t.Errorf("well %t, known %t: want %t, %t; %+v", well, known, test.well, test.known, r)
			}
		})
	}
}
