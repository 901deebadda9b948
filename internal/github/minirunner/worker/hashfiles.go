package worker

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// functions are those of expressions that need the workspace.
func (j *job) functions() map[string]func([]expr.Value) (expr.Value, error) {
	return map[string]func([]expr.Value) (expr.Value, error){"hashfiles": func(args []expr.Value) (expr.Value, error) {
		if len(args) == 0 {
			return nil, errors.New(`function "hashFiles" with 0 arguments: want at least 1`)
		}
		var patterns []string
		for _, a := range args {
			patterns = append(patterns, strings.Split(expr.Text(a), "\n")...)
		}
		return hashFiles(j.workspace, patterns)
	}}
}

// hashFiles is the SHA-256 of the SHA-256 of each file in dir that patterns match,
// in order of their names; empty when there is no such file. A pattern after !
// takes files out again.
// https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#hashfiles
func hashFiles(dir string, patterns []string) (string, error) {
	var rules []rule
	for _, p := range patterns {
		if p = strings.TrimSpace(p); p != "" && p[0] != '#' {
			text, out := strings.CutPrefix(p, "!")
			rules = append(rules, rule{glob(text), out})
		}
	}
	all, found := sha256.New(), false
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || !wanted(rules, filepath.ToSlash(name)) {
			return err
		}
		found = true
		return hashFile(all, path)
	})
	if err != nil || !found {
		return "", err
	}
	return fmt.Sprintf("%x", all.Sum(nil)), nil
}

// hashFile writes the hash of a file's content to all.
func hashFile(all io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	one := sha256.New()
	if _, err := io.Copy(one, f); err != nil {
		return err
	}
	_, err = all.Write(one.Sum(nil))
	return err
}

// A rule takes files in, or out again. The last that matches counts.
type rule struct {
	pattern *regexp.Regexp
	out     bool
}

func wanted(rules []rule, name string) bool {
	in := false
	for _, r := range rules {
		if r.pattern.MatchString(name) {
			in = !r.out
		}
	}
	return in
}

// glob is a pattern of @actions/glob: * and ? stop at slashes, ** does not.
func glob(pattern string) *regexp.Regexp {
	pattern = strings.TrimPrefix(strings.TrimPrefix(pattern, "./"), "/")
	var b strings.Builder
	b.WriteString("^")
	for i := 0; i < len(pattern); i++ {
		switch rest := pattern[i:]; {
		case strings.HasPrefix(rest, "**/"):
			b.WriteString("(?:.*/)?")
			i += 2
		case strings.HasPrefix(rest, "**"):
			b.WriteString(".*")
			i++
		case rest[0] == '*':
			b.WriteString("[^/]*")
		case rest[0] == '?':
			b.WriteString("[^/]")
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
		}
	}
	b.WriteString("(?:/.*)?$") // what is in a folder that matches, too
	return regexp.MustCompile(b.String())
}
