package fleettest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/fleet"
)

// Main is TestMain of a launcher's tests: inside a container, where the test
// binary stands in for the agent, it is that; elsewhere it runs the tests. Role
// names what else the binary can be when its first argument is that name.
func Main(m *testing.M, roles map[string]func()) {
	if filepath.Base(os.Args[0]) == filepath.Base(fleet.AgentPath) {
		os.Exit(agent(os.Args[1:]))
	}
	if len(os.Args) > 1 {
		if role := roles[os.Args[1]]; role != nil {
			role()
			os.Exit(0)
		}
	}
	os.Setenv("MAYFLY_TEST_SECRET", hostSecret) // before any test: they run side by side
	os.Exit(m.Run())
}

// hostSecret is in the environment of a launcher's process, and must be in no runner's.
const hostSecret = "hunter2"

// agent does of a real agent's work what a launcher can see: it runs the command
// after "--", passes SIGTERM on and ends as the command does. The command's output
// goes to the claim socket.
func agent(args []string) int {
	at := slices.Index(args, "--")
	if at < 2 || args[0] != "--socket" || len(args) == at+1 {
		fmt.Fprintf(os.Stderr, "arguments %q: want --socket PATH [FLAGS] -- COMMAND\n", args)
		return 90
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: args[1], Net: "unix"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 91
	}
	out, err := conn.File()
	if err != nil {
		return 92
	}
	cmd := exec.Command(args[at+1], args[at+2:]...)
	cmd.Stdout, cmd.Stderr = out, out
	fmt.Print("line 1\nline 2\nline 3\n")
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(out, err)
		return 127
	}
	go func() {
		for s := range terms {
			fmt.Println("terminated")
			cmd.Process.Signal(s)
		}
	}()
	return code(cmd.Wait())
}

func code(err error) int {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0
	}
	if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}
