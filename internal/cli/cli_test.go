package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/cli"
)

func TestFailPrintsErrorAndHint(t *testing.T) {
	cause := errors.New("port 8080: in use")
	for _, test := range []struct {
		name string
		err  error
		want string
		code int
	}{
		{"plain", cause, "error: port 8080: in use\n", cli.ExitFailed},
		{"hint", cli.Hint(cause, "choose another with %s", "--listen"), "error: port 8080: in use\nhint: choose another with --listen\n", cli.ExitFailed},
		{"usage", cli.Usage(cause, "see --help"), "error: port 8080: in use\nhint: see --help\n", cli.ExitUsage},
		{"code kept under a hint", cli.Hint(cli.WithCode(cause, cli.ExitBusy), "wait"), "error: port 8080: in use\nhint: wait\n", cli.ExitBusy},
		{"wrapped", fmt.Errorf("serving: %w", cli.Usage(cause, "h")), "error: serving: port 8080: in use\nhint: h\n", cli.ExitUsage},
		{"several lines", errors.Join(cause, cause), "error: port 8080: in use\n       port 8080: in use\n", cli.ExitFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			code := (&cli.Screen{Err: &out}).Fail(test.err)
			if diff := cmp.Diff(test.want, out.String()); diff != "" {
				t.Error(diff)
			}
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
		})
	}
}

func TestTableAlignsAndCleans(t *testing.T) {
	rows := func() [][]cli.Cell {
		return [][]cli.Cell{cli.Text("acme/web", "ok"), {{Text: "é"}, {Text: "a\x1b[2Jb\n", Colour: cli.Red}}}
	}
	for _, test := range []struct {
		colour bool
		want   string
	}{
		{false, "REPOSITORY  RESULT\nacme/web    ok\né           a\\u001b[2Jb\\n\n"},
		{true, "\x1b[90mREPOSITORY\x1b[0m  \x1b[90mRESULT\x1b[0m\nacme/web    ok\né           \x1b[31ma\\u001b[2Jb\\n\x1b[0m\n"},
	} {
		var out bytes.Buffer
		(&cli.Screen{Out: &out, Colour: test.colour}).Table([]string{"REPOSITORY", "RESULT"}, rows())
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 runners", 1: "1 runner", 2: "2 runners"} {
		if got := cli.Count(n, "runner"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                  "0s",
		812 * time.Millisecond:        "812ms",
		4250 * time.Millisecond:       "4.2s",
		59990 * time.Millisecond:      "59.9s",
		3*time.Minute + 7*time.Second: "3m07s",
		5*time.Hour + 12*time.Minute:  "5h12m",
		51*time.Hour + 59*time.Minute: "2d3h",
	} {
		if got := cli.Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}
