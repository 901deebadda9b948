package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/event/transform"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
	"github.com/mayfly-ci/mayfly/internal/inspect/local"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// ruleCmd is `mayfly rule`.
type ruleCmd struct {
	List ruleListCmd `cmd:"" help:"List mayfly's own rules and those of the configuration, with what is pending."`
	Test ruleTestCmd `cmd:"" help:"Tell which rules an event matches, and what their targets would see. Exit code 1: none."`
}

// A ruleView is a rule with how it stands.
type ruleView struct {
	Name    string           `json:"name"`
	Own     bool             `json:"own"` // mayfly's, not the configuration's
	Target  string           `json:"target"`
	Pattern *pattern.Pattern `json:"pattern"`
	Pending int              `json:"pending"`
	Failing int              `json:"failing"` // of these, with an attempt that failed
	Dead    int              `json:"dead"`    // letters, of the newest 1,000 of all rules
}

// ruleViews returns the rules that the configuration makes, mayfly's own first.
func (s *setup) ruleViews() ([]ruleView, error) {
	rules, err := machine.Rules(s.outside())
	if err != nil {
		return nil, err
	}
	own := len(rules) - len(s.Rules)
	views := make([]ruleView, len(rules))
	for i, r := range rules {
		views[i] = ruleView{Name: r.Name, Own: i < own, Target: r.Target, Pattern: r.Pattern}
	}
	for i, r := range s.Rules {
		views[own+i].Target = r.Target
	}
	return views, nil
}

type ruleListCmd struct {
	JSON bool `help:"Print JSON."`
}

// Run lists rules. What is pending is read where mayfly has run.
func (c *ruleListCmd) Run(ctx context.Context, all *tool.Globals, screen *cli.Screen) error {
	s, err := readSetup(all.Config)
	if err != nil {
		return err
	}
	views, err := s.ruleViews()
	if err != nil {
		return err
	}
	if err := countDeliveries(ctx, filepath.Join(s.State, machine.DatabaseName), views); err != nil {
		return err
	}
	if c.JSON {
		return screen.JSON(views)
	}
	var rows [][]cli.Cell
	for _, v := range views {
		whose := "configuration"
		if v.Own {
			whose = "mayfly"
		}
		rows = append(rows, cli.Text(v.Name, whose, v.Target, fmt.Sprint(v.Pending), fmt.Sprint(v.Failing), fmt.Sprint(v.Dead), v.Pattern.String()))
	}
	screen.Table([]string{"RULE", "OF", "TARGET", "PENDING", "FAILING", "DEAD", "PATTERN"}, rows)
	return nil
}

// countDeliveries fills in how rules stand in the database at path, if there is one.
func countDeliveries(ctx context.Context, path string, views []ruleView) error {
	db, err := local.OpenDatabase(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	defer db.Close()
	backlogs, err1 := bus.Backlogs(ctx, db)
	letters, err2 := bus.DeadLetters(ctx, db, eventlog.LetterFilter{}, 1000)
	for i := range views {
		v := &views[i]
		for _, b := range backlogs {
			if b.Rule == v.Name {
				v.Pending, v.Failing = b.Pending, b.Failing
			}
		}
		for _, l := range letters {
			if l.Rule == v.Name {
				v.Dead++
			}
		}
	}
	return errors.Join(err1, err2)
}

type ruleTestCmd struct {
	Event string `required:"" help:"File of the event, envelope and all; - is standard input." placeholder:"FILE"`
	JSON  bool   `help:"Print JSON."`
}

// A ruleMatch is a rule that an event matches.
type ruleMatch struct {
	Rule   string `json:"rule"`
	Target string `json:"target"`
	Input  string `json:"input,omitempty"` // what the input transformer makes; "" for the whole event
	Fault  string `json:"fault,omitempty"` // why it makes nothing
}

// Run tells which rules an event matches.
func (c *ruleTestCmd) Run(all *tool.Globals, screen *cli.Screen) error {
	s, err := readSetup(all.Config)
	if err != nil {
		return err
	}
	envelope, err := tool.ReadObject(c.Event)
	if err != nil {
		return err
	}
	var e event.Event
	if err := e.UnmarshalJSON(envelope); err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", c.Event, err), "mayfly events --full prints some")
	}
	matches, err := s.matches(envelope, e.Time)
	if err != nil {
		return err
	}
	if c.JSON {
		err = screen.JSON(matches)
	} else {
		printMatches(screen, matches)
	}
	if len(matches) == 0 {
		err = errors.Join(err, errNoMatch)
	}
	return err
}

// matches returns the rules that an event matches.
func (s *setup) matches(envelope []byte, at time.Time) ([]ruleMatch, error) {
	views, err := s.ruleViews()
	if err != nil {
		return nil, err
	}
	matches := []ruleMatch{}
	for i, v := range views {
		if !v.Pattern.Matches(envelope) {
			continue
		}
		m := ruleMatch{Rule: v.Name, Target: v.Target}
		if !v.Own {
			m.Input, err = s.inputOf(i-(len(views)-len(s.Rules)), envelope, at)
			if err != nil {
				m.Fault = err.Error()
			}
		}
		matches = append(matches, m)
	}
	return matches, nil
}

// inputOf returns what the input transformer of rule i makes of an event.
func (s *setup) inputOf(i int, envelope []byte, at time.Time) (string, error) {
	t, err := s.Rules[i].Input.Transformer()
	if err != nil || t == nil {
		return "", err
	}
	out, err := t.Apply(transform.Input{Event: envelope, Rule: s.Rules[i].Name, Ingested: at})
	return string(out), err
}

func printMatches(screen *cli.Screen, matches []ruleMatch) {
	for _, m := range matches {
		fmt.Fprintf(screen.Out, "%s → %s", m.Rule, m.Target)
		switch {
		case m.Fault != "":
			fmt.Fprintf(screen.Out, ": %s", screen.Paint(cli.Red, cli.Printable(m.Fault)))
		case m.Input != "":
			fmt.Fprintf(screen.Out, ": %s", cli.Printable(m.Input))
		}
		fmt.Fprintln(screen.Out)
	}
}
