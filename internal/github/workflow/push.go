package workflow

import (
	"regexp"
	"strings"
)

// Pushed reports whether a push to ref, such as refs/heads/main, that changed the
// files at paths starts the workflow.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#onpushbranchestagsbranches-ignoretags-ignore
func (w *Workflow) Pushed(ref string, paths []string) bool {
	if w.push == nil {
		return false
	}
	if tag, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
		// a file that speaks of branches only does not run for tags, and the reverse
		return w.push.tags.match(tag, w.push.branches == nil)
	}
	branch := strings.TrimPrefix(ref, "refs/heads/")
	return w.push.branches.match(branch, w.push.tags == nil) && w.push.matchPaths(paths)
}

// matchPaths reports whether one of paths is among those asked for.
func (f *filters) matchPaths(paths []string) bool {
	for _, p := range paths {
		if f.paths.match(p, true) {
			return true
		}
	}
	return f.paths == nil
}

// match reports whether name passes g; absent is the answer where g is nil.
func (g *globs) match(name string, absent bool) bool {
	if g == nil {
		return absent
	}
	matched := false
	for _, p := range g.patterns {
		if p.re.MatchString(name) {
			matched = !p.negate
		}
	}
	return matched != g.ignore
}

// compile turns a pattern of GitHub's into a regular expression: * is all but a
// slash, ** is all, ? and + and [ ] are as in one.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
func compile(pattern string) (glob, error) {
	pattern, negate := strings.CutPrefix(pattern, "!")
	var b strings.Builder
	b.WriteString("^")
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case strings.HasPrefix(pattern[i:], "**/"):
			b.WriteString("(?:.*/)?")
			i += 2
		case strings.HasPrefix(pattern[i:], "**"):
			b.WriteString(".*")
			i++
		case c == '*':
			b.WriteString("[^/]*")
		case strings.IndexByte("?+[]", c) >= 0:
			b.WriteByte(c)
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		case c == '-': // a range inside [ ], and itself outside
			b.WriteByte(c)
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	re, err := regexp.Compile(b.String() + "$")
	return glob{re, negate}, err
}
