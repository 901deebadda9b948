package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

// prose is the text that people read, and that drifts when nobody looks.
var prose = []string{"README.md", "CONTRIBUTING.md", "DESIGN.md", "docs/*.md", "cmd/mayfly/doc.go"}

// TestProse checks what prose names: commands and flags of the tool, files and
// folders of the tree.
func TestProse(t *testing.T) {
	var c commands
	parser, err := kong.New(&c, kong.Name("mayfly"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range readProse(t) {
		for _, fault := range faultsIn(text, parser.Model) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

// readProse returns the text of each file of prose, by name.
func readProse(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range prose {
		found, err := filepath.Glob("../../" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: nothing found: %v", pattern, err)
		}
		for _, name := range found {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	return texts
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

// toured are the folders whose files the tour names.
var toured = []string{".", "../mayfly-aws", "../../internal/tool", "../../internal/inspect", "../../internal/machine", "../../internal/rehearsal", "../mayfly-bench"}

// TestProseTour keeps the tour in doc.go complete: it names each file of these folders,
// and no other.
func TestProseTour(t *testing.T) {
	tour, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var program []string
	for _, folder := range toured {
		found, err := filepath.Glob(folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if name := filepath.Base(path); !strings.HasSuffix(name, "_test.go") && name != "doc.go" {
				program = append(program, name)
			}
		}
	}
	missing, stale := tourFaults(string(tour), program)
	if len(missing) > 0 {
		t.Errorf("doc.go does not name %v: add each to the part of the tour that it belongs to", missing)
	}
	if len(stale) > 0 {
		t.Errorf("doc.go names %v, which are in none of %v", stale, toured)
	}
}

var fileInTour = regexp.MustCompile(`\b[a-z0-9_]+\.go\b`)

// tourFaults compares the files that a tour names, but for tests, with those of the program.
func tourFaults(tour string, program []string) (missing, stale []string) {
	named := fileInTour.FindAllString(tour, -1)
	for _, name := range program {
		if !slices.Contains(named, name) {
			missing = append(missing, name)
		}
	}
	for _, name := range named {
		if !slices.Contains(program, name) && !strings.HasSuffix(name, "_test.go") {
			stale = append(stale, name)
		}
	}
	return missing, stale
}

// TestProseTourFaultsAreSeen keeps TestProseTour from passing because it looks at nothing.
func TestProseTourFaultsAreSeen(t *testing.T) {
	missing, stale := tourFaults("up.go runs, image_build.go builds, gone.go is gone, way_test.go is a test.", []string{"build.go", "image_build.go", "up.go"})
	if !slices.Equal(missing, []string{"build.go"}) || !slices.Equal(stale, []string{"gone.go"}) {
		t.Errorf("missing %v, stale %v; want build.go, gone.go", missing, stale)
	}
}

// maxColumns is how wide prose may be, so that it can be read beside code. Tables and
// blocks of code are as wide as they must be.
const maxColumns = 140

// TestProseColumns keeps paragraphs of prose within maxColumns.
func TestProseColumns(t *testing.T) {
	for name, text := range readProse(t) {
		for _, line := range wideLines(text) {
			t.Errorf("%s:%d: more than %d columns: wrap the paragraph", name, line, maxColumns)
		}
	}
}

// wideLines returns the numbers of the lines of text that are too wide.
func wideLines(text string) (wide []int) {
	code := false
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		if !code && !strings.HasPrefix(line, "|") && utf8.RuneCountInString(line) > maxColumns {
			wide = append(wide, i+1)
		}
	}
	return wide
}

// TestProseWideLinesAreSeen keeps TestProseColumns from passing because it looks at nothing.
func TestProseWideLinesAreSeen(t *testing.T) {
	wide := strings.Repeat("w", maxColumns+1)
	text := wide[1:] + "\n" + wide + "\n| " + wide + "\n```\n" + wide + "\n```\n" + wide
	if got := wideLines(text); !slices.Equal(got, []int{2, 7}) {
		t.Errorf("wide lines %v, want 2 and 7", got)
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
