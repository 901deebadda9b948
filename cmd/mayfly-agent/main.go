// Mayfly-agent is the first process of a runner's container: it claims over the
// socket of its container, or on AWS with calls to a function that it signs with
// the task's role, starts the runner with what it got, tells how it goes and leaves.
//
//	mayfly-agent [--socket PATH | --url URL] [--docker] -- COMMAND [ARGS...]
//
// Its exit code is the runner's, or one of its own: 64 wrong usage, 69 no answer
// to the claim in time, 77 claim refused, 126 the runner could not be started,
// 127 there is no such program, 128+n ended by signal n.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mayfly-ci/mayfly/internal/agent"
	"github.com/mayfly-ci/mayfly/internal/agent/podman"
	"github.com/mayfly-ci/mayfly/internal/agent/signed"
	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/fleet/cgroup"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// version is set when building.
var version = "unknown"

func main() { os.Exit(run()) }

func run() int {
	flags := flag.NewFlagSet("mayfly-agent", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: mayfly-agent [flags] -- COMMAND [ARGS...]")
		flags.PrintDefaults()
	}
	socket := flags.String("socket", "/run/mayfly/"+claim.SocketName, "`path` of the claim socket")
	url := flags.String("url", "", "`address` of the claim function on AWS, instead of a socket")
	within := flags.Duration("claim-within", 2*time.Minute, "`time` for the claim to be answered")
	grace := flags.Duration("grace", 30*time.Second, "`time` between asking the runner to end and killing it")
	docker := flags.Bool("docker", false, "give the runner a container engine for itself")
	mirror := flags.String("docker-mirror", "", "`URL` of a mirror of Docker Hub for that engine")
	printVersion := flags.Bool("version", false, "print the version")
	switch err := flags.Parse(os.Args[1:]); {
	case err == flag.ErrHelp:
		return 0
	case err != nil:
		return agent.ExitUsage
	case *printVersion:
		fmt.Println("mayfly-agent", version)
		return 0
	case flags.NArg() == 0:
		flags.Usage()
		return agent.ExitUsage
	}
	// Neither the keys on AWS nor the container's log, which is bounded here, are the job's.
	if err := signed.Hide(); err != nil {
		fmt.Fprintln(flags.Output(), "mayfly-agent:", err)
		return agent.ExitUsage
	}
	channel, err := channelTo(*socket, *url)
	if err != nil {
		fmt.Fprintln(flags.Output(), "mayfly-agent:", err)
		return agent.ExitUsage
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return agent.Run(ctx, agent.Config{
		Claim:   channel,
		Command: flags.Args(),
		Env:     os.Environ(),
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Within:  *within,
		Grace:   *grace,
		Log:     log,
		Engine:  engine(*docker, *mirror, log),
		Memory:  cgroup.Container,
	})
}

// engine is how the runner gets a container engine; nil without one.
func engine(wanted bool, mirror string, log *slog.Logger) func([]string) ([]string, error) {
	if !wanted {
		return nil
	}
	return func(env []string) ([]string, error) {
		return podman.Listen(podman.Config{Folder: pool.DockerFolder, Socket: pool.DockerSocket, Mirror: mirror, Env: env, Log: log})
	}
}

// channelTo is the channel to the claim function at url, or else to the socket.
func channelTo(socket, url string) (agent.Channel, error) {
	if url == "" {
		return agent.Socket(socket), nil
	}
	transport, err := signed.New(url, os.Getenv)
	return agent.Channel{URL: url, Transport: transport}, err
}
