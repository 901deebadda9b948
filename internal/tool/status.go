package tool

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// statusCmd is `mayfly status`.
type statusCmd struct{ Reading }

// Run prints the status.
func (c *statusCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	from, err := c.source(ctx, all, log)
	if err != nil {
		return err
	}
	defer from.Close()
	v, err := from.Status(ctx, time.Now())
	if err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(v)
	}
	printStatus(screen, v)
	return nil
}

func printStatus(screen *cli.Screen, v *inspect.Status) {
	colour := cli.Red
	if v.Running {
		colour = cli.Green
	}
	fmt.Fprintln(screen.Out, screen.Paint(colour, cli.Printable(v.Words)))
	for _, c := range v.Parts() {
		fmt.Fprintln(screen.Out, screen.Paint(cli.Yellow, "warning:"), cli.Printable(c.String()))
	}
	fmt.Fprintln(screen.Out)
	printPools(screen, v)
	if len(v.Waiting) > 0 {
		fmt.Fprintln(screen.Out)
		listJobs(screen, v.Waiting)
	}
	if v.Hosted > 0 {
		screen.Notef("jobs for GitHub's own runners: %s; mayfly jobs --in hosted lists them", inspect.AtMost(v.Hosted))
	}
	if v.Images.Current != nil {
		screen.Notef("image %s", currentLine(v.Images))
	}
	for _, c := range v.Findings() {
		alarm := ""
		if c.State == inspect.StateFault {
			alarm = screen.Paint(cli.Red, "alarm:") + " "
		}
		screen.Notef("%s%s", alarm, cli.Printable(c.String()))
	}
	for _, r := range v.Replays {
		screen.Notef("replay %s runs: %d deliveries pending, %d events ahead", r.Name, r.Pending, r.Ahead)
	}
}

func printPools(screen *cli.Screen, v *inspect.Status) {
	var rows [][]cli.Cell
	for _, p := range v.Pools {
		limit := "-"
		if v.Unknown {
			limit = "?"
		} else if p.Max > 0 {
			limit = fmt.Sprint(p.Max)
		}
		rows = append(rows, cli.Text(p.Pool, fmt.Sprint(p.Queued), fmt.Sprint(p.Running), fmt.Sprint(p.Coming), fmt.Sprint(p.Idle), fmt.Sprint(p.Busy), limit))
	}
	screen.Table([]string{"POOL", "JOBS QUEUED", "RUNNING", "RUNNERS COMING", "IDLE", "BUSY", "MAX"}, rows)
}
