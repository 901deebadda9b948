package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// statusFor is how long one reading of the status serves all who look.
const statusFor = 500 * time.Millisecond

// recent is the last status that was read.
type recent struct {
	mu     sync.Mutex
	status *inspect.Status // guarded by mu
	at     time.Time       // guarded by mu
}

// status reads the status, at most every statusFor.
func (p *Page) status(ctx context.Context, s *inspect.Source, now time.Time) (*inspect.Status, error) {
	p.recent.mu.Lock()
	defer p.recent.mu.Unlock()
	if p.recent.status != nil && now.Sub(p.recent.at) < statusFor {
		return p.recent.status, nil
	}
	v, err := s.Status(ctx, now)
	if err != nil {
		return nil, err
	}
	p.recent.status, p.recent.at = v, now
	return v, nil
}

// A station is one stage of the pipeline as the overview draws it.
type station struct {
	Name  string
	Href  string
	Count string
	Unit  string // of the count
	Note  string
	State inspect.State
	Moves bool // something passes through it now
}

// An overview is what the front page shows.
type overview struct {
	*inspect.Status
	Summary  string
	Pipeline []station
	Road     []station // of the image
	Needs    []inspect.Check
	Oldest   []inspect.Job // of those that wait, the first few
	More     int           // that wait besides
	Now      time.Time
}

const shownWaiting = 12

func (p *Page) overview(r *request) (view, error) {
	status, err := p.status(r.Context(), r.Source, r.now)
	if err != nil {
		return view{}, err
	}
	newest, err := r.Ledger.Jobs(r.Context(), ledger.JobQuery{Limit: 1})
	if err != nil {
		return view{}, err
	}
	o := overview{
		Status: status, Summary: summary(status, r.now), Pipeline: pipelineOf(status, newest, r.now), Road: roadOf(status, r.now), Needs: needs(status), Now: r.now,
		Oldest: status.Waiting[:min(len(status.Waiting), shownWaiting)], More: max(0, len(status.Waiting)-shownWaiting),
	}
	return view{Name: "overview", Title: "Overview", Place: "/", Live: true, Data: o}, nil
}

// summary says in a sentence what goes on.
func summary(v *inspect.Status, now time.Time) string {
	running, waiting := 0, len(v.Waiting)
	for _, p := range v.Pools {
		running += p.Running
	}
	switch {
	case running == 0 && waiting == 0:
		return "No job runs, and none waits."
	case waiting == 0:
		return fmt.Sprintf("%s, and none waits.", jobsRun(running))
	}
	text := fmt.Sprintf("%s, %s", jobsRun(running), waits(waiting))
	if oldest := v.Waiting[0]; !oldest.Queued.IsZero() {
		text += ", the longest for " + since(now, oldest.Queued)
	}
	return text + "."
}

func jobsRun(n int) string {
	switch n {
	case 0:
		return "No job runs"
	case 1:
		return "1 job runs"
	}
	return fmt.Sprintf("%d jobs run", n)
}

func waits(n int) string {
	if n == 1 {
		return "1 waits"
	}
	return fmt.Sprintf("%d wait", n)
}

// needs are the checks that need a person, the worst first.
func needs(v *inspect.Status) (some []inspect.Check) {
	for _, c := range v.Health {
		if c.State == inspect.StateFault || c.State == inspect.StateWarning {
			some = append(some, c)
		}
	}
	slices.SortStableFunc(some, func(a, b inspect.Check) int { return badness(b.State) - badness(a.State) })
	return some
}

func badness(s inspect.State) int {
	switch s {
	case inspect.StateFault:
		return 3
	case inspect.StateWarning:
		return 2
	case inspect.StateUnknown:
		return 1
	}
	return 0
}

// health returns the worst state among the checks whose names begin with one of these words.
func health(v *inspect.Status, words ...string) (worst inspect.State) {
	worst = inspect.StateOK
	for _, c := range v.Health {
		for _, w := range words {
			if (c.Name == w || strings.HasPrefix(c.Name, w+" ")) && badness(c.State) > badness(worst) {
				worst = c.State
			}
		}
	}
	return worst
}

// pipelineOf draws the way of a job.
func pipelineOf(v *inspect.Status, newest []ledger.Job, now time.Time) []station {
	pending, failing := 0, 0
	for _, b := range v.Backlogs {
		pending += b.Pending
		failing += b.Failing
	}
	var queued, coming, idle, busy int
	for _, p := range v.Pools {
		queued += p.Queued
		coming += p.Coming
		idle += p.Idle
		busy += p.Busy
	}
	return []station{
		webhookStation(v, newest, now),
		{Name: "Bus", Href: "/events", Count: fmt.Sprint(pending), Unit: "pending", Note: deadNote(v), Moves: pending > 0, State: health(v, inspect.CheckLetters, inspect.CheckQuarantine, "database", "disk")},
		{Name: "Rules", Href: "/events", Count: fmt.Sprint(failing), Unit: "retrying", Note: backlogNote(v), Moves: pending > failing, State: health(v, inspect.CheckRule)},
		{Name: "Ledger", Href: "/jobs?state=queued", Count: fmt.Sprint(len(v.Waiting)), Unit: "waiting", Note: fmt.Sprintf("%d queued, %d running", queued, runningJobs(v)), Moves: queued > 0, State: health(v, inspect.CheckLedger, inspect.CheckLimits)},
		{Name: "Launcher", Href: "/runners", Count: fmt.Sprint(coming), Unit: "starting", Note: plural(comingOf(v, ledger.RunnerClaimed), "has claimed", "have claimed"), Moves: coming > 0, State: health(v, "launcher", "runners", "engine")},
		{Name: "Runners", Href: "/runners", Count: fmt.Sprint(busy), Unit: "busy", Note: fmt.Sprintf("%d idle", idle), Moves: busy > 0, State: health(v, "runners", "host")},
	}
}

func webhookStation(v *inspect.Status, newest []ledger.Job, now time.Time) station {
	s := station{Name: "Webhook", Href: "/events?source=github.com", Count: "–", Unit: "no job was reported yet", State: health(v, inspect.CheckService, "webhook", "deliveries", "delivery", "forge", "github", "api")}
	if len(newest) > 0 {
		heard := cmp.Or(newest[0].Queued, newest[0].Created)
		s.Count, s.Unit, s.Moves = since(now, heard), "since the last job", now.Sub(heard) < 3*time.Second
	}
	return s
}

func backlogNote(v *inspect.Status) string {
	if len(v.Backlogs) == 0 {
		return "no backlog"
	}
	return plural(len(v.Backlogs), "rule has a backlog", "rules have a backlog")
}

func deadNote(v *inspect.Status) string {
	if v.Dead == 0 && v.Held == 0 {
		return "nothing was given up"
	}
	return fmt.Sprintf("%s dead, %d in quarantine", inspect.AtMost(v.Dead), v.Held)
}

func runningJobs(v *inspect.Status) (n int) {
	for _, p := range v.Pools {
		n += p.Running
	}
	return n
}

func comingOf(v *inspect.Status, state ledger.RunnerState) (n int) {
	for _, r := range v.Runners {
		if r.State == state {
			n++
		}
	}
	return n
}

// roadOf draws how an image comes to be the one that runners start from.
func roadOf(v *inspect.Status, now time.Time) []station {
	images := v.Images
	if images == nil || images.Release.Version == "" && images.Current == nil && images.Build == nil {
		return nil
	}
	release := station{Name: "Release", Href: "/image", Count: orDash(string(images.Release.Version)), Unit: "newest runner", State: inspect.StateOK}
	if images.Feed.Reason != "" {
		release.State, release.Note = inspect.StateWarning, "the feed does not answer"
	}
	build := station{Name: "Build", Href: "/image", Count: "–", Unit: "nothing to build", State: inspect.StateOK}
	if b := images.Build; b != nil {
		build.Count, build.Unit, build.Moves = string(b.Release.Version), "to be built", !b.Asked.IsZero()
		if build.Moves {
			build.Unit = "building"
		}
		if b.Tries > 0 {
			build.State, build.Note = inspect.StateWarning, plural(b.Tries, "try failed", "tries failed")
		}
	}
	return []station{release, build, canaryStation(images), currentStation(v, now)}
}

func canaryStation(images *inspect.Images) station {
	s := station{Name: "Canary", Href: "/image", Count: "–", Unit: "none runs", State: inspect.StateOK}
	for _, i := range images.Images {
		switch {
		case i.State == image.StateCanary || i.State == image.StateBuilt:
			s.Count, s.Unit, s.Moves = i.Digest.Short(), string(i.State), true
			return s
		case i.State == image.StateFailed:
			s.Count, s.Unit, s.State = i.Digest.Short(), "failed", inspect.StateWarning
			return s
		}
	}
	return s
}

func currentStation(v *inspect.Status, now time.Time) station {
	s := station{Name: "Current", Href: "/image", Count: "none", Unit: "runners wait", State: health(v, inspect.CheckImage)}
	if c := v.Images.Current; c != nil {
		s.Count, s.Unit = string(c.Version), c.Digest.Short()
		s.Note = "no end is known"
		if w := v.Images.Runway; w != nil {
			s.Note = "refused " + image.Days(w.End.Sub(now))
		}
	}
	return s
}
