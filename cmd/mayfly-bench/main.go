// Command mayfly-bench measures Mayfly on this machine, each time beside a baseline in the same run:
// intake, launch, what sleeping jobs cost, and the start of the webhook's function on AWS. make bench
// runs all of it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/docker"
)

// commands is the command line.
type commands struct {
	Intake intakeCmd `cmd:"" help:"Signed deliveries over HTTP, each on disk before its 202, beside bare SQLite."`
	Launch launchCmd `cmd:"" help:"From queued to the runner's process, beside the launcher alone."`
	Idle   idleCmd   `cmd:"" help:"Processor time of Mayfly and the container engine while jobs sleep."`
	Lambda lambdaCmd `cmd:"" help:"First answer of the webhook's function on AWS after its start, beside a bare one."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	screen := cli.NewScreen(os.Stdout, os.Stderr, os.Getenv("NO_COLOR") != "")
	var c commands
	parser, err := kong.New(&c, kong.Name("mayfly-bench"), kong.Description("Measure Mayfly on this machine, each time beside a baseline in the same run."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		return screen.Fail(err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return screen.Fail(cli.Usage(err, "mayfly-bench --help lists the benchmarks"))
	}
	if err := command.Run(screen); err != nil {
		return screen.Fail(err)
	}
	return cli.ExitOK
}

// engineSockets returns where engines usually listen.
func engineSockets() []string {
	return docker.Sockets(os.Getenv("DOCKER_HOST"), os.Getenv("XDG_RUNTIME_DIR"))
}
