package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
)

// A proofView is what a test comes to.
type proofView struct {
	Repository string         `json:"repository"`
	Branch     string         `json:"branch"` // removed
	Run        string         `json:"run"`    // its page
	Jobs       []proofJobView `json:"jobs"`
	Broken     *brokenLink    `json:"broken,omitempty"` // the first link that broke
}

type proofJobView struct {
	Name     string             `json:"name"`
	Job      int64              `json:"job"`
	Pool     string             `json:"pool"`
	Runner   string             `json:"runner"`
	Result   string             `json:"result"`
	Place    string             `json:"place"`         // host name and mount namespace, by the job's own word
	Hops     map[string]float64 `json:"hops_s"`        // after it was queued; those that were reached
	Standing string             `json:"last_hop"`      // the last of them
	After    float64            `json:"last_hop_at_s"` // and when
}

// conclude prints the waterfall and gives the verdict.
func (p *proof) conclude(screen *cli.Screen, broken *brokenLink) error {
	v := proofView{Repository: p.Repository, Branch: p.Branch, Run: p.run.URL, Broken: broken, Jobs: []proofJobView{}}
	for _, t := range p.traces {
		v.Jobs = append(v.Jobs, t.view())
	}
	if p.JSON {
		if err := screen.JSON(v); err != nil {
			return err
		}
	} else {
		p.print(screen)
	}
	if broken != nil {
		return broken.err()
	}
	if !p.JSON {
		fmt.Fprintf(screen.Out, "\n%d jobs, each in a container of its own; nothing is left of them: no runner, no registration, no branch\n", len(p.traces))
	}
	return nil
}

// offset is how long after it was queued a job reached a hop.
func (t *trace) offset(h hop) time.Duration { return max(0, h.at.Sub(t.job.Created)) }

func (t *trace) view() proofJobView {
	v := proofJobView{
		Name: t.Name, Job: t.job.ID, Pool: t.kept.Pool, Runner: t.job.RunnerName, Result: t.job.Conclusion, Place: t.identity,
		Hops: map[string]float64{}, Standing: t.standing(),
	}
	for _, h := range t.hops() {
		if !h.at.IsZero() {
			v.Hops[h.name] = t.offset(h).Seconds()
			v.After = v.Hops[h.name]
		}
	}
	return v
}

// print prints a line for each job: when it reached each hop, counted from when it was
// queued. GitHub's times are whole seconds, by its clock.
func (p *proof) print(screen *cli.Screen) {
	head := []string{"JOB", "POOL"}
	var rows [][]cli.Cell
	for _, t := range p.traces {
		row := cli.Text(t.Name, orDash(t.kept.Pool))
		for _, h := range t.hops() {
			if len(rows) == 0 {
				head = append(head, strings.ToUpper(h.name))
			}
			at := "-"
			if !h.at.IsZero() {
				at = "+" + cli.Duration(t.offset(h))
			}
			row = append(row, cli.Cell{Text: at})
		}
		result := cli.Cell{Text: orDash(t.job.Conclusion), Colour: cli.Red}
		if t.job.Conclusion == "success" {
			result.Colour = cli.Green
		}
		rows = append(rows, append(row, result, cli.Cell{Text: orDash(t.job.RunnerName)}))
	}
	screen.Table(append(head, "RESULT", "RUNNER"), rows)
}
