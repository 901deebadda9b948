package tool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// whyCmd is `mayfly why`.
type whyCmd struct {
	Reading
	Job    string `arg:"" optional:"" help:"Key of a job, such as acme/web/123/1, or the address of a job or a run in the browser."`
	Latest bool   `help:"The newest job that is not over, or else the newest of all."`
}

// Validate is called by kong.
func (c *whyCmd) Validate() error {
	if (c.Job == "") != c.Latest {
		return errors.New("want either a job or --latest")
	}
	return nil
}

// Run says why a job is where it is. The exit code is the cause's kind: see package why.
func (c *whyCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	from, err := c.source(ctx, all, log)
	if err != nil {
		return err
	}
	defer from.Close()
	story, err := c.story(ctx, all, from)
	if err != nil {
		return err
	}
	if c.JSON {
		err = screen.JSON(story)
	} else {
		tellStory(screen, story)
	}
	if code := story.Exit(); err == nil && code != 0 {
		return cli.Quiet(code)
	}
	return err
}

func (c *whyCmd) story(ctx context.Context, all *Globals, from *inspect.Source) (*inspect.Story, error) {
	key, known, err := c.find(ctx, from)
	if err != nil {
		return nil, err
	}
	if known {
		return from.Why(ctx, key, time.Now())
	}
	at, ask, err := askerOf(all, from)
	if err != nil {
		return nil, err
	}
	return from.Inquire(ctx, ask, at, key, time.Now())
}

// find returns the key of the job that is asked about, and whether the ledger has it.
func (c *whyCmd) find(ctx context.Context, from *inspect.Source) (key ledger.JobKey, known bool, err error) {
	if c.Latest {
		return latest(ctx, from)
	}
	if page, err := url.Parse(c.Job); err == nil && page.Scheme != "" {
		return findPage(ctx, from, page)
	}
	if key, err = ledger.ParseJobKey(c.Job); err != nil {
		return key, false, cli.Usage(err, "mayfly jobs lists the keys of jobs; the address of a job or a run in the browser works, too")
	}
	_, err = from.Ledger.Jobs(ctx, ledger.JobQuery{Key: key})
	if errors.Is(err, ledger.ErrNotFound) {
		return key, false, nil
	}
	return key, err == nil, err
}

// latest returns the newest job that is not over, or the newest of all.
func latest(ctx context.Context, from *inspect.Source) (ledger.JobKey, bool, error) {
	for _, q := range []ledger.JobQuery{{Open: true, Limit: 1}, {Limit: 1}} {
		jobs, err := from.Ledger.Jobs(ctx, q)
		if err != nil || len(jobs) > 0 {
			return keyOf(jobs), err == nil, err
		}
	}
	return ledger.JobKey{}, false, cli.Hint(errors.New("the ledger has no jobs"), "push something, or ask about a job by its address in the browser")
}

func keyOf(jobs []ledger.Job) (key ledger.JobKey) {
	if len(jobs) > 0 {
		key = jobs[0].Key
	}
	return key
}

// Searches for a page go over so many of the newest jobs.
const searched, searchedAtOnce = 10_000, 500

// findPage finds the job whose page is page, or the newest that is not over of the run whose page it is.
func findPage(ctx context.Context, from *inspect.Source, page *url.URL) (key ledger.JobKey, known bool, err error) {
	page.RawQuery, page.Fragment = "", ""
	address := strings.TrimSuffix(page.String(), "/")
	q := ledger.JobQuery{Limit: searchedAtOnce}
	for range searched / searchedAtOnce {
		jobs, err := from.Ledger.Jobs(ctx, q)
		if err != nil {
			return key, false, err
		}
		for _, j := range jobs {
			q.After = j.Key
			switch {
			case strings.EqualFold(j.URL, address):
				return j.Key, true, nil
			case !hasFold(j.URL, address+"/"):
			case !known, !j.Settled():
				if known = true; key.IsZero() || !j.Settled() {
					key = j.Key
				}
			}
		}
		if len(jobs) < searchedAtOnce {
			break
		}
	}
	if known {
		return key, true, nil
	}
	return unknownPage(page)
}

func hasFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

var jobPage = regexp.MustCompile(`^/([^/]+/[^/]+)/actions/runs/\d+/job/(\d+)/?$`)

// unknownPage reads the page of a job of GitHub, which has the job's id in it. A re-run has an id of its own there, so the
// attempt is not needed to ask for it.
func unknownPage(page *url.URL) (ledger.JobKey, bool, error) {
	m := jobPage.FindStringSubmatch(page.Path)
	if m == nil {
		return ledger.JobKey{}, false, cli.Hint(fmt.Errorf("no job of %s is in the ledger", page), "give the address of one job of the run, or its key: then mayfly asks about it")
	}
	id, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return ledger.JobKey{}, false, cli.Usage(fmt.Errorf("job %s: %w", m[2], err), "copy the address of the job from the browser")
	}
	return ledger.NewJobKey(m[1], id, 1), false, nil
}

// askerOf returns the forge of the configuration, and where its webhook is. Without a configuration that can be
// read nobody is asked.
func askerOf(all *Globals, from *inspect.Source) (at inspect.HookPlace, ask inspect.Asker, err error) {
	s, client, err := ClientFor(all.Config)
	if err != nil {
		return at, nil, nil
	}
	at = inspect.HookPlace{URL: s.Webhook.URL, Command: "mayfly webhook install"}
	if from.Hook.URL != "" {
		at.URL, at.Command = from.Hook.URL, from.Hook.Command
	}
	if s.Webhook.At != "" {
		at.At, err = forge.ParseScope(s.Webhook.At)
	}
	return at, client, err
}

// tellStory prints a story: the cause, the fix, then the steps.
func tellStory(screen *cli.Screen, s *inspect.Story) {
	colour := cli.Yellow
	switch s.Cause.Kind() {
	case why.OnItsWay:
		colour = cli.Green
	case why.Refused, why.Machine, why.RunnerFailed, why.Delivery:
		colour = cli.Red
	}
	fmt.Fprintf(screen.Out, "%s\n%s %s\n\n", screen.Paint(colour, cli.Printable(s.Text)), screen.Paint(cli.Grey, "fix:"), cli.Printable(s.Fix))
	tellSteps(screen, s)
	if s.Queue != nil && len(s.Queue.Holders) > 0 {
		fmt.Fprintf(screen.Out, "\n%s\n", screen.Paint(cli.Grey, "runners of its pool, the oldest first:"))
		var rows [][]cli.Cell
		for _, h := range s.Queue.Holders {
			rows = append(rows, cli.Text(string(h.Runner), string(h.State), cli.Duration(time.Since(h.Made)), OrDash(h.Job.String())))
		}
		screen.Table([]string{"RUNNER", "STATE", "AGE", "JOB"}, rows)
	}
	if s.Forge != nil && len(s.Forge.Deliveries) > 0 {
		fmt.Fprintf(screen.Out, "\n%s\n", screen.Paint(cli.Grey, "deliveries that failed:"))
		var rows [][]cli.Cell
		for _, d := range s.Forge.Deliveries {
			rows = append(rows, cli.Text(Stamp(d.At), d.GUID, d.Action, strconv.Itoa(d.Code), d.Status))
		}
		screen.Table([]string{"TIME", "DELIVERY", "ACTION", "ANSWER", "STATUS"}, rows)
	}
	tellOutput(screen, s.Output)
}

// The first and last steps of a story that are printed; JSON has all of them.
const firstSteps, lastSteps = 12, 24

func tellSteps(screen *cli.Screen, s *inspect.Story) {
	var rows [][]cli.Cell
	for i, step := range s.Steps {
		if left := len(s.Steps) - firstSteps - lastSteps; left > 1 && i >= firstSteps && i < firstSteps+left {
			if i == firstSteps {
				rows = append(rows, cli.Text("…", "", fmt.Sprintf("%d steps more", left), "", "mayfly why --json has all"))
			}
			continue
		}
		rows = append(rows, cli.Text(Stamp(step.At), cli.Duration(time.Duration(step.Took*float64(time.Second))), step.Step, OrDash(string(step.Runner)), step.Note))
	}
	if len(rows) > 0 {
		screen.Table([]string{"TIME", "TOOK", "STEP", "RUNNER", "NOTE"}, rows)
	}
}

// tellOutput prints the last lines of a runner, if there are some.
func tellOutput(screen *cli.Screen, output string) {
	if output == "" {
		return
	}
	fmt.Fprintf(screen.Out, "\n%s\n", screen.Paint(cli.Grey, "it printed last:"))
	for line := range strings.SplitSeq(output, "\n") {
		fmt.Fprintln(screen.Out, "  "+cli.Printable(line))
	}
}
