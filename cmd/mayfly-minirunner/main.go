// Mayfly-minirunner is a small stand-in for GitHub's own runner, for Mayfly's demo
// and tests and for trying out a runner set-up; see internal/github/minirunner for
// what it can do. For real work use https://github.com/actions/runner.
//
// With a JIT configuration in ACTIONS_RUNNER_INPUT_JITCONFIG it needs nothing else:
//
//	ACTIONS_RUNNER_INPUT_JITCONFIG=... mayfly-minirunner
//
// With a registration token it registers itself:
//
//	mayfly-minirunner --url https://github.com/acme/web --token TOKEN --labels small --ephemeral
//
// With neither it is the runner that its folder was configured for. That folder is
// the one above bin, if the program is in bin, as the official runner's is, and else
// the home folder.
//
// Its exit codes are the official runner's: 0 done, 1 terminated error, 2 retryable
// error, 3 and 4 updating, 5 session conflict, 7 version deprecated (if
// ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE is 1); and 64 for wrong usage.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

// version is set when building.
var version = "unknown"

// jitVariable is where the official runner takes its configuration from, too.
const jitVariable = "ACTIONS_RUNNER_INPUT_JITCONFIG"

const exitUsage = 64

const usage = `mayfly-minirunner is a small stand-in for GitHub's own runner, as strict as that: it runs
scripts, composite, JavaScript and Docker actions, services and job containers.
For real work use https://github.com/actions/runner.

usage: ACTIONS_RUNNER_INPUT_JITCONFIG=... mayfly-minirunner [--root FOLDER] [--work FOLDER]
       mayfly-minirunner --url URL --token TOKEN [--name NAME] [--labels A,B] [--group ID] [--ephemeral]
       mayfly-minirunner [--root FOLDER]

`

func main() { os.Exit(run()) }

// options are the flags of the command line.
type options struct {
	registration minirunner.Registration
	labels       string
	root         string
	work         string
	cache        string
	as           string
	version      bool
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("mayfly-minirunner", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	hostname, _ := os.Hostname() // empty will be refused by GitHub with its own words
	flags.StringVar(&o.registration.URL, "url", "", "`URL` of the repository, organisation or enterprise")
	flags.StringVar(&o.registration.Token, "token", "", "registration `token`")
	flags.StringVar(&o.registration.Name, "name", hostname, "`name` of the runner")
	flags.Int64Var(&o.registration.Group, "group", 1, "`id` of the runner group")
	flags.BoolVar(&o.registration.Ephemeral, "ephemeral", false, "take one job and leave")
	flags.StringVar(&o.labels, "labels", "", "`labels` besides self-hosted, Linux and X64, separated by commas")
	flags.StringVar(&o.root, "root", "", "`folder` of the runner (default that above bin, or the home folder)")
	flags.StringVar(&o.work, "work", "", "`folder` for workspaces (default _work in the runner's folder)")
	flags.StringVar(&o.cache, "cache", minirunner.DefaultCache, "`folder` of the cache of locations; a start waits when it cannot be written")
	flags.StringVar(&o.as, "as-version", "", "`version` of the official runner to pass for (default "+minirunner.Version+")")
	flags.BoolVar(&o.version, "version", false, "print the version")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("argument %q: want flags only", flags.Arg(0))
	}
	for l := range strings.SplitSeq(o.labels, ",") {
		if l = strings.TrimSpace(l); l != "" {
			o.registration.Labels = append(o.registration.Labels, l)
		}
	}
	return o, nil
}

func run() int {
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return minirunner.ExitDone
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		return exitUsage
	case o.version:
		fmt.Println("mayfly-minirunner", version)
		return minirunner.ExitDone
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals()...)
	defer stop()
	jit := os.Getenv(jitVariable)
	os.Unsetenv(jitVariable) // before anything is started that would inherit it
	o.root = cmp.Or(o.root, home())
	client := &http.Client{}
	identity, err := identify(ctx, client, jit, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return minirunner.ExitTerminated
	}
	return minirunner.Run(ctx, minirunner.Config{
		Identity: identity,
		Version:  o.as,
		Root:     o.root,
		Work:     o.work,
		Cache:    o.cache,
		Env:      environment(os.Environ()),
		Out:      os.Stdout,
		Err:      os.Stderr,
		HTTP:     client,
		Now:      time.Now,
	})
}

// signals are those that stop the runner. One that is ignored from the start, as
// SIGINT is in a script's background, stays so, as .NET has it.
func signals() []os.Signal {
	if signal.Ignored(syscall.SIGINT) {
		return []os.Signal{syscall.SIGTERM}
	}
	return []os.Signal{syscall.SIGTERM, syscall.SIGINT}
}

// home is the runner's folder: GitHub's runner is in bin of it.
func home() string {
	if self, err := os.Executable(); err == nil && filepath.Base(filepath.Dir(self)) == "bin" {
		return filepath.Dir(filepath.Dir(self))
	}
	return os.Getenv("HOME")
}

// identify returns the runner of the JIT configuration, registers one, or returns
// the one that the folder was configured for.
func identify(ctx context.Context, client *http.Client, jit string, o options) (minirunner.Identity, error) {
	switch {
	case jit != "":
		return minirunner.DecodeJIT(jit)
	case o.registration.URL != "" && o.registration.Token != "":
		return minirunner.Register(ctx, client, o.registration)
	case o.registration.URL == "" && o.registration.Token == "":
		identity, err := minirunner.Load(o.root)
		if !errors.Is(err, fs.ErrNotExist) {
			return identity, err
		}
	}
	return minirunner.Identity{}, fmt.Errorf("no runner to be: want %s, or --url and --token, or --root of a configured runner", jitVariable)
}

// environment is what the runner and its steps inherit: not what was given to the
// runner to configure it.
func environment(list []string) map[string]string {
	env := map[string]string{}
	for _, v := range list {
		if name, value, ok := strings.Cut(v, "="); ok && !strings.HasPrefix(name, "ACTIONS_RUNNER_INPUT_") {
			env[name] = value
		}
	}
	return env
}
