package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// prose is the text that people read, and that drifts when nobody looks.
var prose = []string{"README.md", "CONTRIBUTING.md", "docs/*.md", "cmd/mayfly/doc.go"}

// TestProse checks what prose names: commands and flags of the tool, files and
// folders of the tree.
func TestProse(t *testing.T) {
	var c commands
	parser, err := kong.New(&c, kong.Name("mayfly"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, pattern := range prose {
		found, err := filepath.Glob("../../" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: nothing found: %v", pattern, err)
		}
		files = append(files, found...)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range faultsIn(string(text), parser.Model) {
			t.Errorf("%s: %s", f, fault)
		}
	}
}

var (
	commandInProse = regexp.MustCompile("(?m)(?:`|^    |^  |bin/)mayfly ([a-z]+[a-z -]*)")
	flagInProse    = regexp.MustCompile("`(--[a-z-]+)[ =`]")
	pathInProse    = regexp.MustCompile("[`(]((?:internal|cmd|docs|scripts|testdata)/[A-Za-z0-9_./-]+)[`)]")
)

// faultsIn returns what text names that is not there.
func faultsIn(text string, model *kong.Application) (faults []string) {
	for _, m := range commandInProse.FindAllStringSubmatch(text, -1) {
		if node := model.Node.Children; !names(node, strings.Fields(m[1])[0]) {
			faults = append(faults, "no command mayfly "+m[1])
		}
	}
	flags := flagsOf(model.Node)
	for _, m := range flagInProse.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(flags, m[1]) {
			faults = append(faults, "no flag "+m[1])
		}
	}
	for _, m := range pathInProse.FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
			faults = append(faults, "no file or folder "+m[1])
		}
	}
	return faults
}

func names(nodes []*kong.Node, name string) bool {
	return slices.ContainsFunc(nodes, func(n *kong.Node) bool { return n.Name == name })
}

func flagsOf(n *kong.Node) (flags []string) {
	for _, f := range n.Flags {
		flags = append(flags, "--"+f.Name)
	}
	for _, child := range n.Children {
		flags = append(flags, flagsOf(child)...)
	}
	return flags
}

// TestProseFaultsAreSeen keeps TestProse from passing because it looks at nothing.
func TestProseFaultsAreSeen(t *testing.T) {
	var c commands
	parser, err := kong.New(&c, kong.Name("mayfly"))
	if err != nil {
		t.Fatal(err)
	}
	text := "`mayfly fly` and `mayfly jobs --json`, `--no-such-flag`, `internal/nowhere`, [x](docs/none.md), `internal/bus`"
	if got := faultsIn(text, parser.Model); len(got) != 4 {
		t.Errorf("faults %q, want 4", got)
	}
}

// TestPictures keeps the two pictures of each kind alike but for their colours.
func TestPictures(t *testing.T) {
	style := regexp.MustCompile(`(?s)<style>.*</style>`)
	read := func(name string) []byte {
		text, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return style.ReplaceAll(text, nil)
	}
	for _, kind := range []string{"pipeline", "aws"} {
		if light, dark := kind+"-light.svg", kind+"-dark.svg"; !bytes.Equal(read(light), read(dark)) {
			t.Errorf("%s and %s differ in more than their style", light, dark)
		}
	}
}
