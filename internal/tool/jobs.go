package tool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// jobsCmd is `mayfly jobs`.
type jobsCmd struct {
	Reading
	Job   string            `arg:"" optional:"" help:"One job, such as acme/web/123/1: its story and why it waits."`
	Open  bool              `help:"Only jobs that are not over."`
	Match []ledger.JobState `help:"Only jobs in these states: waiting, queued, unroutable, hosted (for GitHub's own runners), running, completed." enum:"waiting,queued,unroutable,hosted,running,completed" placeholder:"STATE" name:"in"`
	Limit atLeastOne        `help:"The newest, at most so many." default:"50"`
}

// Run lists jobs, or tells of one.
func (c *jobsCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	query := ledger.JobQuery{Open: c.Open, States: c.Match, Limit: int(c.Limit)}
	if c.Job != "" {
		key, err := ledger.ParseJobKey(c.Job)
		if err != nil {
			return cli.Usage(err, "mayfly jobs lists the keys of jobs")
		}
		query = ledger.JobQuery{Key: key}
	}
	from, err := c.source(ctx, all, log)
	if err != nil {
		return err
	}
	defer from.Close()
	views, err := from.Jobs(ctx, query, time.Now())
	if errors.Is(err, ledger.ErrNotFound) {
		return cli.Hint(fmt.Errorf("job %s: %w", c.Job, err), "mayfly jobs lists those that are known; mayfly events --type workflow_job shows what the forge sent")
	} else if err != nil {
		return err
	}
	switch {
	case c.JSON:
		return screen.JSON(views)
	case c.Job != "":
		tellJob(screen, views[0])
	default:
		listJobs(screen, views)
	}
	return nil
}

func listJobs(screen *cli.Screen, jobs []inspect.Job) {
	var rows [][]cli.Cell
	for _, j := range jobs {
		row := cli.Text(j.Key.String(), j.Name, OrDash(j.Pool), string(j.State), j.Text)
		row[3].Colour = jobColour(j.Job)
		if j.State == ledger.JobCompleted {
			row[3].Text = j.Conclusion
		}
		rows = append(rows, row)
	}
	screen.Table([]string{"JOB", "NAME", "POOL", "STATE", "WHY"}, rows)
}

// tellJob prints a job's story: each step it took, when, and where it stands.
func tellJob(screen *cli.Screen, j inspect.Job) {
	fix := j.Fix
	if j.Cause.Kind() == why.OnItsWay {
		fix = ""
	}
	facts := [][2]string{
		{"job", j.Key.String()}, {"name", j.Name}, {"workflow", j.Workflow}, {"labels", j.Labels.String()},
		{"pool", j.Pool}, {"state", string(j.State)}, {"result", j.Conclusion}, {"runner", string(j.RunnerName)},
		{"page", j.URL}, {"why", j.Text}, {"fix", fix}, {"memory", tellMemory(j.Memory)},
	}
	tell(screen, facts, j.History)
}

// tell prints what is known of one thing, and its history.
func tell(screen *cli.Screen, facts [][2]string, history []ledger.Step) {
	for _, f := range facts {
		if f[1] != "" {
			fmt.Fprintf(screen.Out, "%s %s\n", screen.Paint(cli.Grey, fmt.Sprintf("%-9s", f[0])), cli.Printable(f[1]))
		}
	}
	fmt.Fprintln(screen.Out)
	var rows [][]cli.Cell
	for i, step := range history {
		after := ""
		if i > 0 {
			after = "+" + cli.Duration(step.At.Sub(history[i-1].At))
		}
		rows = append(rows, cli.Text(Stamp(step.At), after, step.What, step.Note))
	}
	screen.Table([]string{"TIME", "AFTER", "STEP", "NOTE"}, rows)
}

func jobColour(j ledger.Job) cli.Colour {
	switch {
	case j.State == ledger.JobUnroutable, j.Conclusion == "failure", j.Conclusion == ledger.ConclusionLost, j.Conclusion == ledger.ConclusionAbandoned:
		return cli.Red
	case j.Conclusion == "success":
		return cli.Green
	case j.State == ledger.JobCompleted:
		return cli.Grey
	}
	return cli.Yellow
}

// runnersCmd is `mayfly runners`.
type runnersCmd struct {
	Reading
	Runner string     `arg:"" optional:"" help:"One runner: its story."`
	All    bool       `help:"Those that are gone, too."`
	Limit  atLeastOne `help:"The newest, at most so many." default:"50"`
}

// Run lists runners, or tells of one.
func (c *runnersCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	from, err := c.source(ctx, all, log)
	if err != nil {
		return err
	}
	defer from.Close()
	query := ledger.RunnerQuery{Live: !c.All, Limit: int(c.Limit)}
	if c.Runner != "" {
		query = ledger.RunnerQuery{Name: ledger.RunnerName(c.Runner)}
	}
	list, err := from.Ledger.Runners(ctx, query)
	if errors.Is(err, ledger.ErrNotFound) {
		return cli.Hint(fmt.Errorf("runner %s: %w", c.Runner, err), "mayfly runners --all lists those that are known")
	} else if err != nil {
		return err
	}
	switch {
	case c.JSON:
		return screen.JSON(slices.Clip(append([]ledger.Runner{}, list...)))
	case c.Runner != "":
		tellRunner(screen, list[0])
	default:
		listRunners(screen, list)
	}
	return nil
}

func listRunners(screen *cli.Screen, list []ledger.Runner) {
	var rows [][]cli.Cell
	for _, r := range list {
		note := r.Reason
		if r.Leaving != "" && r.Live() {
			note = "leaving: " + r.Leaving
		}
		rows = append(rows, cli.Text(string(r.Name), r.Pool, string(r.State), cli.Duration(time.Since(r.Since)), jobOf(r), OrDash(image.Digest(r.Image).Short()), note))
	}
	screen.Table([]string{"RUNNER", "POOL", "STATE", "FOR", "JOB", "IMAGE", "NOTE"}, rows)
}

func tellRunner(screen *cli.Screen, r ledger.Runner) {
	facts := [][2]string{
		{"runner", string(r.Name)}, {"pool", r.Pool}, {"labels", r.Labels.String()}, {"state", string(r.State)},
		{"made for", r.MadeFor.String()}, {"job", r.Runs.String()}, {"image", r.Image}, {"reason", r.Reason},
		{"memory", tellMemory(r.Memory)},
	}
	if r.Runs.IsZero() {
		facts[5][1] = ""
	}
	tell(screen, facts, r.History)
	tellOutput(screen, r.Output)
}

// tellMemory says what a runner had of memory; "" where nobody counted.
func tellMemory(m pool.MemoryUse) string {
	switch {
	case m.Kills > 0 && m.Peak > 0:
		return m.Told() + ", the peak was " + pool.Size(m.Peak)
	case m.Kills > 0:
		return m.Told()
	case m.Peak > 0 && m.Limit > 0:
		return fmt.Sprintf("at most %s of %s", pool.Size(m.Peak), pool.Size(m.Limit))
	}
	return ""
}

// jobOf is the job that r runs, or else the one that it was made for.
func jobOf(r ledger.Runner) string {
	if r.Runs.IsZero() {
		return r.MadeFor.String()
	}
	return r.Runs.String()
}
