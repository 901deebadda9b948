package main

import (
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/lint"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// lintCmd is `mayfly lint`.
type lintCmd struct {
	Paths      []string `arg:"" optional:"" help:"Workflow files, or folders of them." default:".github/workflows" type:"path"`
	Repository string   `help:"Repository of the workflows, for pools that serve some repositories only." placeholder:"OWNER/NAME"`
	Personal   bool     `help:"The repository belongs to a user, not to an organization."`
	Strict     bool     `help:"Fail on warnings, too."`
	All        bool     `help:"Print notes, too: which pool takes each job."`
	JSON       bool     `help:"Print JSON." xor:"format"`
	SARIF      bool     `name:"sarif" help:"Print SARIF, for GitHub's code scanning." xor:"format"`
}

// Run routes the jobs of workflow files as the webhook does.
func (c *lintCmd) Run(all *tool.Globals, screen *cli.Screen) error {
	s, err := readPart(all.Config, "pools")
	if err != nil {
		return err
	}
	files, err := lint.Read(c.Paths...)
	if err != nil {
		return cli.Usage(err, "name workflow files or a folder of them: mayfly lint .github/workflows")
	}
	for i := range files {
		files[i].Name = tool.Relative(files[i].Name)
	}
	found := lint.Check(lint.Config{Pools: s.PoolSet(), Repository: c.Repository, Personal: c.Personal}, files...)
	if err := c.print(screen, found, len(files)); err != nil {
		return err
	}
	errs, warnings := at(found, lint.Error), at(found, lint.Warning)
	if errs > 0 || c.Strict && warnings > 0 {
		return cli.Hint(fmt.Errorf("errors: %d, warnings: %d", errs, warnings), "each line above ends with its rule; mayfly lint --all shows where every job goes")
	}
	return nil
}

func (c *lintCmd) print(screen *cli.Screen, found []lint.Finding, files int) error {
	switch {
	case c.JSON:
		return screen.JSON(append([]lint.Finding{}, found...))
	case c.SARIF:
		return lint.WriteSARIF(screen.Out, version, found)
	}
	colours := map[lint.Level]cli.Colour{lint.Error: cli.Red, lint.Warning: cli.Yellow}
	for _, f := range found {
		if f.Level == lint.Note && !c.All {
			continue
		}
		fmt.Fprintln(screen.Out, screen.Paint(colours[f.Level], cli.Printable(f.String())))
		if f.Fix != "" {
			fmt.Fprintln(screen.Out, "  fix:", cli.Printable(f.Fix))
		}
	}
	fmt.Fprintf(screen.Out, "files: %d; jobs to pools: %d, to GitHub's runners: %d, known only at run time: %d, without a pool: %d\n", files,
		of(found, lint.RulePool), of(found, lint.RuleHosted), of(found, lint.RuleUnknown), of(found, lint.RuleNoPool)+of(found, lint.RuleChanges))
	return nil
}

func of(found []lint.Finding, rule string) int {
	return count(found, func(f lint.Finding) bool { return f.Rule == rule })
}

func at(found []lint.Finding, level lint.Level) int {
	return count(found, func(f lint.Finding) bool { return f.Level == level })
}

func count(found []lint.Finding, counts func(lint.Finding) bool) (n int) {
	for _, f := range found {
		if counts(f) {
			n++
		}
	}
	return n
}
