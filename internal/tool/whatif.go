package tool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/whatif"
)

// imagining is what `mayfly replay --what-if` takes.
type imagining struct {
	WhatIf  string        `help:"Deliver nothing: run the jobs of that time through the scheduler, with the configuration as it is and with this one, and compare." type:"path" placeholder:"FILE"`
	Startup time.Duration `help:"With --what-if: how long runners take from being wanted to listening; by default as the ledger has it." placeholder:"TIME"`
}

// unmeasured is the start-up of runners where none has ever listened.
const unmeasured = 10 * time.Second

// A WhatIf is two configurations side by side.
type WhatIf struct {
	Jobs     int     `json:"jobs"`
	Assumed  int     `json:"jobs_of_assumed_length"`
	Startup  float64 `json:"startup_s"`        // the median of all pools
	Measured int     `json:"startup_measured"` // runners that it is from; 0 when it was given or assumed
	Dropped  int     `json:"events_dropped"`   // of which the log has no detail any more

	Configurations []Configuration `json:"configurations"`
}

// A Configuration is what would have come of one configuration.
type Configuration struct {
	File       string       `json:"file"`
	Pools      []Tally      `json:"pools"`
	Total      Tally        `json:"total"`
	Unroutable []Unroutable `json:"unroutable"`
}

// A Tally is the figures of a pool, or of all.
type Tally struct {
	Pool    string  `json:"pool,omitempty"`
	Jobs    int     `json:"jobs"`
	Started int     `json:"started"`
	Failed  int     `json:"failed"` // nobody came for them in a day
	Cut     int     `json:"cut"`    // by total_limit
	P50     float64 `json:"wait_p50_s"`
	P95     float64 `json:"wait_p95_s"`
	Max     float64 `json:"wait_max_s"`
	Runners int     `json:"runners"`
	Peak    int     `json:"runners_at_once"`
	AtMax   float64 `json:"at_max_s"`
	AtHost  float64 `json:"at_host_s"`
}

// Unroutable counts the jobs with labels that no pool takes.
type Unroutable struct {
	Labels ledger.LabelSet `json:"labels"`
	Jobs   int             `json:"jobs"`
}

// compare runs what was selected through both configurations.
func (c *replayStartCmd) compare(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger, s eventlog.Selection) error {
	if len(c.Rule) > 0 || c.Launch || c.Name != "" || c.DryRun {
		return cli.Usage(errors.New("--what-if delivers nothing"), "leave out --rule, --launch, --name and --dry-run; --pattern picks jobs")
	}
	from, err := c.source(ctx, all, log)
	if err != nil {
		return err
	}
	defer from.Close()
	v := WhatIf{}
	work, err := readWork(ctx, from.Events, s, &v)
	if err != nil {
		return err
	}
	startup, err := c.startup(ctx, from.Ledger)
	if err != nil {
		return err
	}
	v.Startup, v.Measured = startup.Other.Seconds(), startup.Measured
	for _, file := range []string{all.Config, c.WhatIf} {
		s, err := ReadSetup(file)
		if err != nil {
			return err
		}
		limits := all.Program.Platform.Limits(s)
		v.Configurations = append(v.Configurations, viewReport(Relative(file), whatif.Run(work, limits, startup)))
	}
	if c.JSON {
		return screen.JSON(v)
	}
	printWhatIf(screen, v)
	return nil
}

// readWork reads the jobs of s.
func readWork(ctx context.Context, events inspect.Events, s eventlog.Selection, v *WhatIf) ([]whatif.Work, error) {
	var traffic whatif.Traffic
	err := events.Each(ctx, s.From, s.To, event.TypeWorkflowJob, func(e event.Event) error {
		if e.Source != event.SourceGitHub {
			return nil
		}
		if len(e.Detail) == 0 {
			v.Dropped++
			return nil
		}
		if ok, err := s.Matches(e); err != nil || !ok {
			return err
		}
		if job, err := event.ParseWorkflowJob(e.Detail); err == nil { // what cannot be read was no job then, either
			traffic.Add(job, e.Time)
		}
		return nil
	})
	work := traffic.Work()
	for _, w := range work {
		if v.Jobs++; w.Assumed {
			v.Assumed++
		}
	}
	if err == nil && len(work) == 0 {
		err = cli.Hint(errors.New("no job was queued in that time"), "mayfly events --type workflow_job shows what there is; --from 720h goes back a month")
	}
	return work, err
}

// startup is how long runners take, as given or as the ledger has it.
func (c *replayStartCmd) startup(ctx context.Context, l inspect.Ledger) (whatif.Startup, error) {
	if c.Startup > 0 {
		return whatif.Startup{Other: c.Startup}, nil
	}
	runners, err := l.Runners(ctx, ledger.RunnerQuery{Limit: 10_000})
	return whatif.MeasureStartup(runners, unmeasured), err
}

func viewReport(file string, r whatif.Report) Configuration {
	v := Configuration{File: file, Total: viewTally(r.Total), Unroutable: []Unroutable{}}
	for _, t := range r.Pools {
		v.Pools = append(v.Pools, viewTally(t))
	}
	for _, u := range r.Unroutable {
		v.Unroutable = append(v.Unroutable, Unroutable(u))
	}
	return v
}

func viewTally(t whatif.Tally) Tally {
	return Tally{
		Pool: t.Pool, Jobs: t.Jobs, Started: t.Started, Failed: t.Failed, Cut: t.Cut,
		P50: t.P50.Seconds(), P95: t.P95.Seconds(), Max: t.Max.Seconds(), Runners: t.Runners, Peak: t.Peak,
		AtMax: t.AtMax.Seconds(), AtHost: t.AtHost.Seconds(),
	}
}

// printWhatIf prints a block of figures for each pool, and one for all.
func printWhatIf(screen *cli.Screen, v WhatIf) {
	now, other := v.Configurations[0], v.Configurations[1]
	var rows [][]cli.Cell
	for _, name := range poolNames(now, other) {
		rows = append(rows, compareTallies(name, now.tally(name), other.tally(name))...)
	}
	rows = append(rows, compareTallies("all", &now.Total, &other.Total)...)
	rows = append(rows, cli.Text("", "unroutable", fmt.Sprint(now.unroutable()), fmt.Sprint(other.unroutable())))
	screen.Table([]string{"POOL", "", now.File, other.File}, rows)
	for _, c := range v.Configurations {
		for _, u := range c.Unroutable[:min(len(c.Unroutable), 5)] {
			screen.Notef("%s: no pool takes %d jobs with labels %s", c.File, u.Jobs, u.Labels)
		}
	}
	screen.Notef("%d jobs, of which %d have no length in the log and are taken to be as long as others", v.Jobs, v.Assumed)
	from := fmt.Sprintf("the median of %d runners of the ledger; each pool has its own", v.Measured)
	if v.Measured == 0 {
		from = "not measured: --startup says otherwise"
	}
	screen.Notef("a runner's start-up: %s, %s", cli.Duration(seconds(v.Startup)), from)
	if v.Dropped > 0 {
		screen.Notef("%d events are left out: their details were dropped to keep archive.max_size", v.Dropped)
	}
}

// poolNames returns the pools of both, each once.
func poolNames(both ...Configuration) (names []string) {
	for _, c := range both {
		for _, t := range c.Pools {
			if !slices.Contains(names, t.Pool) {
				names = append(names, t.Pool)
			}
		}
	}
	return names
}

// tally returns the figures of a pool; nil when the configuration has none of that name.
func (c Configuration) tally(pool string) *Tally {
	if i := slices.IndexFunc(c.Pools, func(t Tally) bool { return t.Pool == pool }); i >= 0 {
		return &c.Pools[i]
	}
	return nil
}

func (c Configuration) unroutable() (jobs int) {
	for _, u := range c.Unroutable {
		jobs += u.Jobs
	}
	return jobs
}

// compareTallies puts the figures of one pool side by side.
func compareTallies(name string, now, other *Tally) (rows [][]cli.Cell) {
	for i, f := range []struct {
		name string
		of   func(*Tally) float64
		text func(float64) string
	}{
		{"jobs", func(t *Tally) float64 { return float64(t.Jobs) }, whole},
		{"wait, half below", func(t *Tally) float64 { return t.P50 }, lasting},
		{"wait, 95 % below", func(t *Tally) float64 { return t.P95 }, lasting},
		{"wait, longest", func(t *Tally) float64 { return t.Max }, lasting},
		{"never started", func(t *Tally) float64 { return float64(t.Failed) }, whole},
		{"cut by total_limit", func(t *Tally) float64 { return float64(t.Cut) }, whole},
		{"runners", func(t *Tally) float64 { return float64(t.Runners) }, whole},
		{"at once", func(t *Tally) float64 { return float64(t.Peak) }, whole},
		{"jobs held by max", func(t *Tally) float64 { return t.AtMax }, lasting},
		{"jobs held by host", func(t *Tally) float64 { return t.AtHost }, lasting},
	} {
		cell := func(t *Tally) string {
			if t == nil {
				return "-"
			}
			return f.text(f.of(t))
		}
		row := cli.Text("", f.name, cell(now), cell(other))
		if i == 0 {
			row[0].Text = name
		} else if now != nil && other != nil && f.of(now) != f.of(other) {
			row[3].Colour = cli.Yellow
		}
		rows = append(rows, row)
	}
	return rows
}

func whole(n float64) string   { return fmt.Sprintf("%.0f", n) }
func lasting(s float64) string { return cli.Duration(seconds(s)) }
