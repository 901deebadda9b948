package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestProseTourNames keeps the names that the tour mentions true: each package.Name exists in a package of that name, as a
// declaration or as a field or method of one.
func TestProseTourNames(t *testing.T) {
	tour, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	if stale := staleNames(t, string(tour)); len(stale) > 0 {
		t.Errorf("doc.go names what does not exist: %v", stale)
	}
	if got := staleNames(t, "bus.Bus delivers; bus.Desk and image.Catalog.None do not exist"); len(got) != 2 {
		t.Errorf("stale names: %v, want bus.Desk and image.Catalog.None", got)
	}
}

// staleNames returns the names in text whose package is one of ours and does not have them.
func staleNames(t *testing.T, text string) (stale []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\b([a-z]+)\.((?:[A-Z]\w*)(?:\.[A-Z]\w*)*)\b`).FindAllStringSubmatch(text, -1) {
		folders, err := filepath.Glob("../../internal/" + m[1])
		if err != nil {
			t.Fatal(err)
		}
		deeper, _ := filepath.Glob("../../internal/*/" + m[1])
		declared := map[string]bool{}
		for _, folder := range append(folders, deeper...) {
			namesOf(t, folder, declared)
		}
		for _, name := range strings.Split(m[2], ".") {
			if len(declared) > 0 && !declared[name] {
				stale = append(stale, m[0])
				break
			}
		}
	}
	return stale
}

// namesOf adds the names that the package in folder declares.
func namesOf(t *testing.T, folder string, declared map[string]bool) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				declared[n.Name.Name] = true
				return false
			case *ast.TypeSpec:
				declared[n.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range n.Names {
					declared[name.Name] = true
				}
			case *ast.Field:
				for _, name := range n.Names {
					declared[name.Name] = true
				}
			}
			return true
		})
	}
}
