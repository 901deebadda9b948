package importtest

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNobodyKnowsWhichForge: what is special to one forge is in its implementation. Others
// have a forge.Forge; only the configuration, who opens the forge that it means, the agent's
// programs and the commands say a name.
func TestNobodyKnowsWhichForge(t *testing.T) {
	knows := []string{"internal/gitea", "internal/forgetest", "internal/forges", "internal/config", "internal/agent", "internal/tool", "cmd/mayfly"}
	seen := map[string]bool{}
	for _, root := range []string{"../../internal", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			at := strings.TrimPrefix(filepath.ToSlash(path), "../../")
			says, err := saysGitea(path)
			if says && rootOf(at, knows) == "" {
				t.Errorf("%s says gitea in its code: only %v do", at, knows)
			}
			seen[rootOf(at, knows)] = seen[rootOf(at, knows)] || says
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !seen["internal/gitea"] || !seen["internal/config"] {
		t.Errorf("the name was found in %v only: this test looks in the wrong place", seen)
	}
}

// TestNobodyAsksWhichForge: no code outside the configuration and what opens the forge compares its name.
func TestNobodyAsksWhichForge(t *testing.T) {
	asks, seen := regexp.MustCompile(`[!=]= *(config\.)?ForgeGitea|case .*ForgeGitea`), false
	for _, root := range []string{"../../internal", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			src, err := os.ReadFile(path)
			at := strings.TrimPrefix(filepath.ToSlash(path), "../../")
			switch allowed := rootOf(at, []string{"internal/config", "internal/forges"}) != ""; {
			case !asks.Match(src):
			case allowed:
				seen = true
			default:
				t.Errorf("%s asks whether the forge is Gitea: put what differs behind forge.Forge, or into a table by the forge's name", at)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !seen {
		t.Error("nobody asks: this test looks in the wrong place")
	}
}

// saysGitea reports whether the code of a file says the name, beside its comments.
func saysGitea(path string) (bool, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile(path, files.Base(), len(src)), src, nil, 0)
	for {
		_, tok, text := s.Scan()
		if tok == token.EOF {
			return false, nil
		}
		if strings.Contains(strings.ToLower(text), "gitea") {
			return true, nil
		}
	}
}

// TestForgesAreOpenedInOnePlace: both implementations are known to forges alone, and GitHub's, beside
// it, to what there is at GitHub only.
func TestForgesAreOpenedInOnePlace(t *testing.T) {
	atGitHub := []string{"internal/github", "internal/forges", "internal/proof", "internal/rehearsal", "internal/aws", "internal/simulation", "internal/tool", "cmd"}
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			imp, ours := strings.CutPrefix(imp, module)
			if ours && imp == "internal/gitea" && !slices.Contains([]string{"internal/forges"}, p.ImportPath) {
				t.Errorf("%s imports internal/gitea: internal/forges opens it", p.ImportPath)
			}
			if ours && imp == "internal/github" && rootOf(p.ImportPath, atGitHub) == "" {
				t.Errorf("%s imports internal/github: only %v do; want a forge.Forge", p.ImportPath, atGitHub)
			}
		}
	}
}
