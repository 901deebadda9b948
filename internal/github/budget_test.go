package github_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
)

// runnersRoute stands for housekeeping in these tests, jitRoute for what is urgent.
const runnersRoute = "GET /repos/acme/web/actions/runners"

func noRunners(w http.ResponseWriter, r *http.Request) {
	reply(w, 200, map[string]any{"total_count": 0, "runners": []any{}})
}

// left answers with next and says what is left of the hourly limit, which is
// counted anew at reset.
func left(remaining, limit int, reset time.Time, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Limit", strconv.Itoa(limit))
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
		w.Header().Set("X-RateLimit-Resource", "core")
		next(w, r)
	}
}

// dated answers with the time that GitHub thinks it is.
func dated(at time.Time, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", at.UTC().Format(http.TimeFormat))
		next(w, r)
	}
}

// until returns when err says that calls are taken again.
func until(t *testing.T, err error) time.Time {
	t.Helper()
	var limit *github.RateLimited
	if !errors.As(err, &limit) {
		t.Fatalf("%v, want a rate limit", err)
	}
	return limit.Until
}

// TestRateLimits has GitHub's ways to say that it is enough, and when it ends.
func TestRateLimits(t *testing.T) {
	start := newClock().Now()
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   time.Duration // until urgent calls are made again
	}{
		{"secondary with seconds", dated(start, refuse(403, "secondary", "Retry-After", "30")), 30 * time.Second},
		{"secondary with 429", dated(start, refuse(429, "slow down", "Retry-After", "30")), 30 * time.Second},
		{"secondary without a time", dated(start, refuse(403, "You have exceeded a secondary rate limit")), time.Minute},
		{"secondary with much left", left(4000, 5000, start.Add(time.Hour), dated(start, refuse(429, "slow down"))), time.Minute},
		{"secondary with a date", dated(start, refuse(429, "slow down", "Retry-After", start.Add(90*time.Second).Format(http.TimeFormat))), 90 * time.Second},
		{"secondary with a date by a clock that is fast", dated(start.Add(time.Hour), refuse(429, "slow down", "Retry-After", start.Add(time.Hour+90*time.Second).Format(http.TimeFormat))), 90 * time.Second},
		{"primary", left(0, 5000, start.Add(20*time.Minute), dated(start, refuse(403, "API rate limit exceeded"))), 20 * time.Minute},
		{"primary with 429", left(0, 5000, start.Add(20*time.Minute), dated(start, refuse(429, "API rate limit exceeded"))), 20 * time.Minute},
		{"primary by a clock that is fast", left(0, 5000, start.Add(80*time.Minute), dated(start.Add(time.Hour), refuse(403, "API rate limit exceeded"))), 20 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{jitRoute: inTurn(tt.answer, registered), runnersRoute: noRunners})
			clock := newClock()
			c := s.client(t, clock.of)
			jit := func() error { _, err := c.Register(t.Context(), scope(t, "acme/web"), jitRequest(1)); return err }
			list := func() error { _, err := c.Runners(t.Context(), scope(t, "acme/web")); return err }

			if got := until(t, jit()); !got.Equal(start.Add(tt.want)) {
				t.Errorf("until %v, want %v", got, start.Add(tt.want))
			}
			clock.advance(tt.want - time.Second)
			until(t, jit())
			until(t, list())
			if calls := s.seen(); len(calls) != 1 {
				t.Errorf("calls %q during the limit, want none after the first", calls)
			}
			clock.advance(time.Second)
			if err := jit(); err != nil {
				t.Errorf("after the limit: %v", err)
			}
			until(t, list()) // what starts jobs has a head start
			clock.advance(5 * time.Second)
			if err := list(); err != nil {
				t.Errorf("after the head start: %v", err)
			}
		})
	}
}

// TestLimitsOutliveClockSteps: a limit lasts as long as GitHub said, wherever the wall clock is set meanwhile. (Simulation, seed 783: a
// clock set back by four hours kept every runner from being registered for as long.)
func TestLimitsOutliveClockSteps(t *testing.T) {
	start := newClock().Now()
	for name, answer := range map[string]http.HandlerFunc{
		"secondary": dated(start, refuse(403, "secondary", "Retry-After", "1200")),
		"primary":   left(0, 5000, start.Add(20*time.Minute), dated(start, refuse(403, "API rate limit exceeded"))),
	} {
		for _, by := range []time.Duration{-4 * time.Hour, 4 * time.Hour} {
			t.Run(fmt.Sprintf("%s, set by %v", name, by), func(t *testing.T) {
				s := serve(t, map[string]http.HandlerFunc{jitRoute: inTurn(answer, registered)})
				clock := newClock()
				c := s.client(t, clock.of)
				register := func() error { _, err := c.Register(t.Context(), scope(t, "acme/web"), jitRequest(1)); return err }
				until(t, register())
				clock.set(by)
				clock.advance(19 * time.Minute)
				if got, want := until(t, register()), clock.Now().Add(time.Minute); !got.Equal(want) {
					t.Errorf("until %v, want a minute from now, which is %v", got, want)
				}
				clock.advance(time.Minute)
				if err := register(); err != nil {
					t.Errorf("after the limit: %v", err)
				}
			})
		}
	}
}

// TestLimitIsBounded: an answer that asks for more than GitHub's limits can last is not obeyed for days.
func TestLimitIsBounded(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{jitRoute: inTurn(refuse(403, "secondary", "Retry-After", "999999"), registered)})
	clock := newClock()
	c := s.client(t, clock.of)
	register := func() error { _, err := c.Register(t.Context(), scope(t, "acme/web"), jitRequest(1)); return err }
	until(t, register())
	clock.advance(time.Hour + time.Minute)
	if err := register(); err != nil {
		t.Errorf("after an hour and a minute: %v", err)
	}
}

// TestReserve is about the last tenth of the hourly limit: it is for starting jobs.
func TestReserve(t *testing.T) {
	start := newClock().Now()
	s := serve(t, map[string]http.HandlerFunc{
		runnersRoute: dated(start, left(500, 5000, start.Add(10*time.Minute), noRunners)),
		jitRoute:     dated(start, inTurn(left(499, 5000, start.Add(10*time.Minute), registered), left(0, 5000, start.Add(10*time.Minute), registered))),
	})
	clock := newClock()
	c := s.client(t, clock.of)
	web := scope(t, "acme/web")
	if _, err := c.Runners(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	_, err := c.Runners(t.Context(), web)
	if got := until(t, err); !got.Equal(start.Add(10*time.Minute + 5*time.Second)) {
		t.Errorf("housekeeping until %v", got)
	}
	for i := range 2 {
		if _, err := c.Register(t.Context(), web, jitRequest(i)); err != nil {
			t.Errorf("job %d: %v, want it to start from the reserve", i, err)
		}
	}
	_, err = c.Register(t.Context(), web, jitRequest(3))
	if got := until(t, err); !got.Equal(start.Add(10 * time.Minute)) {
		t.Errorf("with nothing left, until %v", got)
	}
}

// TestLimitsOfOtherResources are not the credential's.
func TestLimitsOfOtherResources(t *testing.T) {
	spent := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Resource", "integration_manifest")
		noRunners(w, r)
	}
	s := serve(t, map[string]http.HandlerFunc{runnersRoute: func(w http.ResponseWriter, r *http.Request) {
		left(0, 5000, time.Now().Add(time.Hour), spent)(w, r)
	}})
	c := s.client(t)
	for range 2 {
		if _, err := c.Runners(t.Context(), scope(t, "acme/web")); err != nil {
			t.Error(err)
		}
	}
}

// TestJobsStartBesideHousekeeping fills all slots of housekeeping with calls that
// hang: a job starts all the same, and one more of housekeeping waits.
func TestJobsStartBesideHousekeeping(t *testing.T) {
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	s := serve(t, map[string]http.HandlerFunc{
		jitRoute: registered,
		runnersRoute: func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-release
			noRunners(w, r)
		},
	})
	c := s.client(t)
	web := scope(t, "acme/web")
	const slots = 16
	var wg sync.WaitGroup
	for range slots {
		wg.Go(func() {
			if _, err := c.Runners(t.Context(), web); err != nil {
				t.Error(err)
			}
		})
	}
	for range slots {
		<-arrived
	}
	if _, err := c.Register(t.Context(), web, jitRequest(1)); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Runners(ctx, web); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want DeadlineExceeded: there was no slot", err)
	}
	if calls := s.seen(); len(calls) != slots+1 {
		t.Errorf("%d calls arrived, want %d", len(calls), slots+1)
	}
	close(release)
	wg.Wait()
}
