package cli_test

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/cli"
)

// grammar is a command line with all that completion knows of.
type grammar struct {
	Config string `help:"The file."`
	Level  string `help:"What's logged." enum:"debug,info" default:"info"`

	Up struct {
		Launcher string `enum:"auto,engine,sandbox" default:"auto"`
		Keep     bool
	} `cmd:"" help:"Serve."`
	Settings struct {
		Check struct {
			JSON bool
		} `cmd:"" help:"Check it."`
		Schema struct{} `cmd:"" help:"Print it: all."`
	} `cmd:"" help:"See to the configuration."`
	Secret     struct{}          `cmd:"" hidden:""`
	Completion cli.CompletionCmd `cmd:"" help:"Print a script."`
}

// script runs `try-it completion SHELL`.
func script(t *testing.T, shell string) string {
	t.Helper()
	var out bytes.Buffer
	parser, err := kong.New(&grammar{}, kong.Name("try-it"))
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse([]string{"completion", shell})
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Run(&cli.Screen{Out: &out}, parser); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// offers are what shells must offer for a command line, its last word being the
// one under the cursor.
var offers = []struct {
	line []string
	want string
}{
	{[]string{""}, "--config --help --level completion settings up"},
	{[]string{"se"}, "settings"},
	{[]string{"--level", ""}, "debug info"},
	{[]string{"--level", "d"}, "debug"},
	{[]string{"--level", "debug", "u"}, "up"},
	{[]string{"--config", "up", "s"}, "settings"},
	{[]string{"up", "--"}, "--config --help --keep --launcher --level"},
	{[]string{"up", "--keep", "--launcher", "s"}, "sandbox"},
	{[]string{"up", "--launcher", "auto", "--k"}, "--keep"},
	{[]string{"settings", "s"}, "schema"},
	{[]string{"settings", "check", "--j"}, "--json"},
	{[]string{"settings", "schema", "--j"}, ""},
	{[]string{"completion", "z"}, "zsh"},
}

func TestBashCompletes(t *testing.T) {
	source := script(t, "bash")
	for _, c := range offers {
		run := exec.Command("bash", "-c", source+`
COMP_WORDS=(try-it "$@") COMP_CWORD=$# COMPREPLY=()
_try_it
printf '%s\n' "${COMPREPLY[@]}"`, "bash")
		run.Args = append(run.Args, c.line...)
		check(t, run, c.line, c.want)
	}
}

func TestFishCompletes(t *testing.T) {
	need(t, "fish")
	source := script(t, "fish")
	for _, c := range offers {
		if line := c.line[len(c.line)-1]; c.want == "" || line == "" && c.line[0] == "" {
			continue // fish offers flags only after a dash, and files where it knows nothing
		}
		run := exec.Command("fish", "--no-config", "-c", source+"\ncomplete -C 'try-it "+strings.Join(c.line, " ")+"' | string split -f1 \\t; true")
		check(t, run, c.line, c.want)
	}
}

// TestZshReads: that zsh completes needs a terminal; that it reads the script and
// has what the others have does not.
func TestZshReads(t *testing.T) {
	source := script(t, "zsh")
	for _, want := range []string{"'settings:See to the configuration.'", "'--level:What’s logged.'", `"settings check") offer=(`, `yes:"up --launcher") compadd -- auto engine sandbox; return;;`} {
		if !strings.Contains(source, want) {
			t.Errorf("the script lacks %s", want)
		}
	}
	need(t, "zsh")
	run := exec.Command("zsh", "-f", "-c", `
compdef() { print -r -- "$@" }
_describe() { print -rl -- ${(P)2%%:*} }
_files() { }
compadd() { shift; print -rl -- "$@" }
`+source+`
words=(try-it "$@") CURRENT=$(( $# + 1 )); _try_it`, "zsh", "up", "--keep", "")
	check(t, run, []string{"up", "--keep", ""}, "--config --help --keep --launcher --level _try_it try-it")
}

func TestCompletionIsForKnownShells(t *testing.T) {
	if err := cli.WriteCompletion(&bytes.Buffer{}, &kong.Application{Node: &kong.Node{}}, "tcsh"); err == nil {
		t.Error("tcsh: no error")
	}
}

func need(t *testing.T, shell string) {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skipf("%s is not installed", shell)
	}
}

// check runs a shell, and compares the words that it prints.
func check(t *testing.T, run *exec.Cmd, line []string, want string) {
	t.Helper()
	var failure bytes.Buffer
	run.Stderr = &failure
	out, err := run.Output()
	if err != nil || failure.Len() > 0 {
		t.Fatalf("%q: %v\n%s", line, err, &failure)
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
		t.Errorf("%q: %s", line, diff)
	}
}
