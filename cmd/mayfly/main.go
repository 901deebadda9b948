package main

import (
	"errors"
	"os"
	"syscall"
	_ "time/tzdata" // zones of warm.schedule, where the system has none

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/tool"
)

// version is set by the linker.
var version = "unknown"

// commands is the command line: flags, environment variables and help are its tags.
type commands struct {
	tool.Globals

	Up      upCmd        `cmd:"" help:"Serve the webhook and run jobs until stopped."`
	Down    downCmd      `cmd:"" help:"Stop Mayfly on this machine, remove everything it made, and verify that nothing is left."`
	Deploy  tool.Deploy  `cmd:"" help:"Deploy Mayfly to AWS, or update the stack to match the configuration."`
	Destroy tool.Destroy `cmd:"" help:"Remove Mayfly from AWS, and verify that nothing is left."`
	Doctor  tool.Doctor  `cmd:"" help:"Check a stack on AWS for what keeps jobs from their runners, in an output that can be pasted into an issue."`
	Demo    demoCmd      `cmd:"" help:"Run sample workflows end to end against a simulated GitHub."`
	Sim     simCmd       `cmd:"" help:"Serve a simulated GitHub to try out runner set-ups."`
	Init    initCmd      `cmd:"" help:"Write a commented mayfly.yaml."`
	Cfg     configCmd    `cmd:"" name:"config" help:"Check the configuration, print its schema or its reference."`
	Lint    lintCmd      `cmd:"" help:"Check which pool takes each job of workflow files, before GitHub does."`
	Logs    logsCmd      `cmd:"" help:"Print what a live runner prints."`
	Event   eventCmd     `cmd:"" help:"Test an event pattern, or put events on the bus."`
	Rule    ruleCmd      `cmd:"" help:"List rules, or show which ones an event matches."`
	Image   imageCmd     `cmd:"" help:"Build, list and promote the images that runners start from."`
	Token   tokenCmd     `cmd:"" help:"Get a registration token or a JIT configuration to start a runner by hand."`
	Webhook webhookCmd   `cmd:"" help:"Install, ping or remove the webhook at the forge."`

	tool.Lists
}

func main() {
	var c commands
	os.Exit(tool.Run(os.Args[1:], tool.Program{
		Version: version, Description: "One ephemeral runner for every GitHub Actions job.",
		Platform: thisMachine{}, Explain: explain, Other: startForAWS,
	}, &c, &c.Globals))
}

// startForAWS replaces this process by the program for AWS.
func startForAWS(args []string) error {
	path, err := cli.FindCompanion("mayfly-aws")
	if err != nil {
		return err
	}
	return syscall.Exec(path, append([]string{path}, args...), os.Environ())
}

// explain gives the errors of parts, which know no hints, theirs.
func explain(err error) error {
	err = disk.Explain(err)
	switch {
	case errors.As(err, new(*cli.Fault)):
		return err
	case errors.Is(err, disk.ErrInUse):
		return cli.Hint(cli.WithCode(err, cli.ExitBusy), "another mayfly up uses this state folder: stop it, or choose another with state: in the configuration")
	case errors.Is(err, syscall.EADDRINUSE):
		return cli.Hint(cli.WithCode(err, cli.ExitBusy), "something else listens there: choose another address with --listen")
	case errors.Is(err, disk.ErrFull):
		return cli.Hint(err, "make room on the disk; nothing that was acknowledged is lost")
	case errors.Is(err, disk.ErrDamaged):
		return cli.Hint(err, "put mayfly.db aside (with its -wal and -shm) and run mayfly up: it makes a new one, and the sweep asks the forge for jobs that are open; sqlite3 mayfly.db .recover saves what can be read")
	}
	return err
}
