package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
)

// version is set by the linker.
var version = "unknown"

// commands is the command line: flags, environment variables and help are its tags.
type commands struct {
	Config   string `short:"c" help:"Configuration file." default:"mayfly.yaml" env:"MAYFLY_CONFIG" type:"path" placeholder:"FILE"`
	LogLevel string `help:"What to log: ${enum}." default:"info" enum:"debug,info,warn,error" env:"MAYFLY_LOG_LEVEL"`

	Up         upCmd             `cmd:"" help:"Serve the webhook and run jobs until stopped."`
	Down       downCmd           `cmd:"" help:"Stop Mayfly on this machine, remove everything it made, and verify that nothing is left."`
	Test       testCmd           `cmd:"" help:"Run a test workflow on a temporary branch of a repository, and follow its jobs hop by hop."`
	Demo       demoCmd           `cmd:"" help:"Run sample workflows end to end against a simulated GitHub."`
	Sim        simCmd            `cmd:"" help:"Serve a simulated GitHub to try out runner set-ups."`
	Init       initCmd           `cmd:"" help:"Write a commented mayfly.yaml."`
	Cfg        configCmd         `cmd:"" name:"config" help:"Check the configuration, print its schema or its reference."`
	Lint       lintCmd           `cmd:"" help:"Check which pool takes each job of workflow files, before GitHub does."`
	Status     statusCmd         `cmd:"" help:"Show what is running, what is waiting and why."`
	Jobs       jobsCmd           `cmd:"" help:"List jobs, or show one job's history and why it waits."`
	Runners    runnersCmd        `cmd:"" help:"List runners, or show one runner's history."`
	Events     eventsCmd         `cmd:"" help:"List events on the bus."`
	Event      eventCmd          `cmd:"" help:"Test an event pattern, or put events on the bus."`
	Rule       ruleCmd           `cmd:"" help:"List rules, or show which ones an event matches."`
	Schema     schemaCmd         `cmd:"" help:"List, show, compare and export the discovered schemas of events."`
	Replay     replayCmd         `cmd:"" help:"Start, list or cancel replays of archived events."`
	Quarantine quarantineCmd     `cmd:"" help:"List, release or drop deliveries that cannot be routed."`
	Deploy     deployCmd         `cmd:"" help:"Deploy Mayfly to AWS, or update the stack to match the configuration."`
	Destroy    destroyCmd        `cmd:"" help:"Remove Mayfly from AWS, and verify that nothing is left."`
	DLQ        dlqCmd            `cmd:"" name:"dlq" help:"List, retry or drop dead letters: deliveries within the bus that failed for good."`
	Image      imageCmd          `cmd:"" help:"Build, list and promote the images that runners start from."`
	Token      tokenCmd          `cmd:"" help:"Get a registration token or a JIT configuration to start a runner by hand."`
	Webhook    webhookCmd        `cmd:"" help:"Install, ping or remove the webhook at GitHub."`
	Completion cli.CompletionCmd `cmd:"" help:"Print the completion script of a shell."`
	Version    versionCmd        `cmd:"" help:"Print the version."`
}

func main() { os.Exit(run(os.Args[1:])) }

// run is the tool: it parses args, runs the command, and returns the exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	screen := cli.NewScreen(os.Stdout, os.Stderr, os.Getenv("NO_COLOR") != "")
	var c commands
	parser, err := kong.New(&c,
		kong.Name("mayfly"),
		kong.Description("One ephemeral runner for every GitHub Actions job.\n\nExit codes: 0 done; 1 failed; 2 wrong use or configuration; 3 in use by another; 4 GitHub refused or was out of reach; 5 AWS refused or was out of reach."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return screen.Fail(err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return screen.Fail(cli.Usage(err, "mayfly --help shows what there is"))
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: logLevel(c.LogLevel), ReplaceAttr: shortened}))
	if err := command.Run(screen, log, &c, parser); err != nil {
		return screen.Fail(explain(err))
	}
	return cli.ExitOK
}

// maxLogged is how much of one value a line of the log has, in bytes.
const maxLogged = 2000

// shortened bounds what the log has of values from outside; the handler writes what is hidden
// in them as Go does.
func shortened(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString, slog.KindAny:
		if text := a.Value.String(); len(text) > maxLogged {
			a.Value = slog.StringValue(event.Clip(text, maxLogged))
		}
	}
	return a
}

func logLevel(name string) (level slog.Level) {
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return slog.LevelInfo // kong lets no other name through
	}
	return level
}

// explain gives the errors of parts, which know no hints, theirs.
func explain(err error) error {
	var fault *cli.Fault
	err = disk.Explain(err)
	switch {
	case errors.As(err, &fault):
		return err
	case errors.Is(err, disk.ErrInUse):
		return cli.Hint(cli.WithCode(err, cli.ExitBusy), "another mayfly up uses this state folder: stop it, or choose another with state: in the configuration")
	case errors.Is(err, syscall.EADDRINUSE):
		return cli.Hint(cli.WithCode(err, cli.ExitBusy), "something else listens there: choose another address with --listen")
	case errors.Is(err, disk.ErrFull):
		return cli.Hint(err, "make room on the disk; nothing that was acknowledged is lost")
	case errors.Is(err, disk.ErrDamaged):
		return cli.Hint(err, "put mayfly.db aside (with its -wal and -shm) and run mayfly up: it makes a new one, and the sweep asks GitHub for jobs that are open; sqlite3 mayfly.db .recover saves what can be read")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTDIR):
		return cli.Hint(err, "give it to the user that runs mayfly (chown -R), or name another place: state: is the folder that mayfly writes to")
	}
	return explainForge(explainAWS(err))
}

// versionCmd is `mayfly version`.
type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(screen *cli.Screen) error {
	_, err := fmt.Fprintln(screen.Out, "mayfly", version)
	return err
}
