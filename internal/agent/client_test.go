package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

var errAway = errors.New("socket away")

// TestPersist looks at when attempts are made, in time that a test owns.
func TestPersist(t *testing.T) {
	refused := &claim.Refused{Reason: "no"}
	later := func(d time.Duration) error { return &claim.Later{After: d, Err: errAway} }
	for name, test := range map[string]struct {
		answers []error // then nil
		limit   time.Duration
		at      []time.Duration // of the attempts
		want    error
	}{
		"at once":       {nil, time.Minute, []time.Duration{0}, nil},
		"pauses grow":   {[]error{errAway, errAway, errAway}, time.Minute, []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond, 350 * time.Millisecond}, nil},
		"told when":     {[]error{later(7 * time.Second)}, time.Minute, []time.Duration{0, 7 * time.Second}, nil},
		"told too soon": {[]error{later(0)}, time.Minute, []time.Duration{0, 50 * time.Millisecond}, nil},
		"told too late": {[]error{later(2 * time.Minute)}, time.Minute, []time.Duration{0}, errAway},
		"refused":       {[]error{errAway, refused}, time.Minute, []time.Duration{0, 50 * time.Millisecond}, refused},
		"busy":          {[]error{claim.ErrBusy}, time.Minute, []time.Duration{0}, claim.ErrBusy},
		"limit passes":  {[]error{errAway, errAway, errAway}, 160 * time.Millisecond, []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond}, errAway},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.limit)
				defer cancel()
				begin := time.Now()
				var at []time.Duration
				err := persist(ctx, func() error {
					at = append(at, time.Since(begin))
					if len(at) > len(test.answers) {
						return nil
					}
					return test.answers[len(at)-1]
				})
				if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if diff := cmp.Diff(test.at, at); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestPersistEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := persist(ctx, func() error { return errAway }); !errors.Is(err, context.Canceled) || !errors.Is(err, errAway) {
			t.Errorf("error %v, want both why it ended and what was wrong", err)
		}
	})
}

func TestLines(t *testing.T) {
	var phases []string
	l := lineReader{each: func(line string) {
		if p := phaseOf(line); p != "" {
			phases = append(phases, p)
		}
	}}
	long := make([]byte, 3*maxLine)
	for _, part := range []string{
		"√ Connected to GitHub\n2026-01-31 12:00:00Z: Listen", "ing for Jobs\r\n", "echo 2026-01-31 12:00:00Z: Running job: forged\n",
		string(long), " 2026-01-31 12:00:00Z: Running job: forged\n", "2026-01-31 12:00:01Z: Running job: build\n2026-01-31 12:00:02Z: Job",
	} {
		l.write([]byte(part))
	}
	if diff := cmp.Diff([]string{claim.PhaseIdle, claim.PhaseBusy}, phases); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	if len(l.line) > maxLine {
		t.Errorf("%d bytes are kept of a line", len(l.line))
	}
}

// TestLeaveAnsweredTooLate has a job begin while the agent waits to hear whether
// its runner may go.
func TestLeaveAnsweredTooLate(t *testing.T) {
	s := &supervision{runner: &process{spent: func() {}}, tell: make(chan claim.Report, 1), limit: time.Second}
	s.saw(claim.PhaseBusy)
	s.answered(nil)
	if s.reason != "" || s.idle != nil {
		t.Errorf("the runner is being stopped for %q, idle limit %v", s.reason, s.idle)
	}
}
