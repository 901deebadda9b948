// Package tool is the command line that Mayfly's programs have in common: cmd/mayfly for one
// machine, and cmd/mayfly-aws, which mayfly starts for all that is on AWS. It has the
// commands of both, their flags and tables; what they read is an [inspect.Source], and what
// differs between the two programs is a [Platform].
package tool

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
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/github"
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
)

// Globals are the flags of every command, and the program that runs it.
type Globals struct {
	Config   string `short:"c" help:"Configuration file." default:"mayfly.yaml" env:"MAYFLY_CONFIG" type:"path" placeholder:"FILE"`
	LogLevel string `help:"What to log: ${enum}." default:"info" enum:"debug,info,warn,error" env:"MAYFLY_LOG_LEVEL"`

	Program Program `kong:"-"`
}

// A Program is what makes one program of the common command line.
type Program struct {
	Version     string
	Description string
	Platform    Platform
	Explain     func(error) error // gives errors of the program's parts their hints

	// Other starts the program for the other platform, with the same arguments, and returns only
	// an error; nil where there is none.
	Other func(args []string) error
}

// Lists are the commands that both programs have, besides image.
type Lists struct {
	Test       testCmd       `cmd:"" help:"Run a test workflow on a temporary branch of a repository, and follow its jobs hop by hop."`
	Status     statusCmd     `cmd:"" help:"Show what is running, what is waiting and why."`
	Why        whyCmd        `cmd:"" help:"Explain why a job is where it is, and what to do about it. The exit code is the kind of cause."`
	Jobs       jobsCmd       `cmd:"" help:"List jobs, or show one job's history and why it waits."`
	Runners    runnersCmd    `cmd:"" help:"List runners, or show one runner's history."`
	Page       pageCmd       `cmd:"" help:"Serve the page that shows all this to a browser, for this machine or a stack."`
	Events     eventsCmd     `cmd:"" help:"List events on the bus."`
	Schema     schemaCmd     `cmd:"" help:"List, show, compare and export the discovered schemas of events."`
	Replay     replayCmd     `cmd:"" help:"Start, list or cancel replays of archived events."`
	Quarantine quarantineCmd `cmd:"" help:"List, release or drop deliveries that cannot be routed."`
	DLQ        dlqCmd        `cmd:"" name:"dlq" help:"List, retry or drop dead letters: deliveries within the bus that failed for good."`

	Completion cli.CompletionCmd `cmd:"" help:"Print the completion script of a shell."`
	Version    versionCmd        `cmd:"" help:"Print the version."`
}

// Run is a program: it parses args by the tags of commands, a pointer to a struct that has
// globals, runs the command, and returns the exit code.
func Run(args []string, p Program, commands any, globals *Globals) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	screen := cli.NewScreen(os.Stdout, os.Stderr, os.Getenv("NO_COLOR") != "")
	parser, err := kong.New(commands,
		kong.Name("mayfly"),
		kong.Description(p.Description+"\n\nExit codes: 0 done; 1 failed; 2 wrong use or configuration; 3 in use by another; 4 the forge refused or was out of reach; 5 AWS refused or was out of reach."),
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
	globals.Program = p
	if p.Other != nil && isElsewhere(command, globals) {
		return screen.Fail(p.Other(args))
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: logLevel(globals.LogLevel), ReplaceAttr: shortened}))
	if err := command.Run(screen, log, globals, parser); err != nil {
		return screen.Fail(p.explain(err))
	}
	return cli.ExitOK
}

// isElsewhere reports whether the chosen command is about the other platform. A command that
// cannot tell runs here, and says why.
func isElsewhere(command *kong.Context, globals *Globals) bool {
	node := command.Selected()
	if node == nil || !node.Target.CanAddr() {
		return false
	}
	c, ok := node.Target.Addr().Interface().(interface{ OnAWS(*Globals) (bool, error) })
	if !ok {
		return false
	}
	aws, err := c.OnAWS(globals)
	return err == nil && aws
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
func (p Program) explain(err error) error {
	var fault *cli.Fault
	var refused *github.Error
	err = p.Explain(err)
	switch {
	case errors.As(err, &fault):
		return err
	case errors.Is(err, imagesource.ErrFolder):
		return cli.Usage(err, "mayfly image eject DIR writes one to begin with")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOTDIR):
		return cli.Hint(err, "give it to the user that runs mayfly (chown -R), or name another place: state: is the folder that mayfly writes to")
	case errors.As(err, &refused):
		return cli.Hint(cli.WithCode(err, cli.ExitForge), "%s", refused.Hint())
	}
	return err
}

// versionCmd is `mayfly version`.
type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(screen *cli.Screen, all *Globals) error {
	_, err := fmt.Fprintln(screen.Out, "mayfly", all.Program.Version)
	return err
}
