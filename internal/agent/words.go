package agent

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// secrets are what a runner might print of those that it handles: GitHub's tokens of all kinds, JSON web
// tokens such as a job's, what follows "Bearer", and long words of base64 such as a JIT configuration.
// https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats
var secrets = regexp.MustCompile(`gh[a-z]_[A-Za-z0-9_.-]{16,}|github_pat_\w{16,}|eyJ[\w-]*\.[\w-]+\.[\w-]*|(?i:bearer +)\S{8,}|[A-Za-z0-9+/]{120,}=*`)

// masked returns text without what looks like a secret.
func masked(text string) string { return secrets.ReplaceAllString(text, "***") }

// How much of the runner's own log a report may bring.
const (
	diagBytes = 1 << 10
	diagLines = 12
)

// diagnosis returns the end of the log that GitHub's runner at program keeps of itself, in _diag beside it,
// after a line with its name; "" where it has none.
// https://github.com/actions/runner/blob/main/src/Runner.Common/HostTraceListener.cs
func diagnosis(program string) string {
	logs, _ := filepath.Glob(filepath.Join(filepath.Dir(program), "_diag", "Runner_*.log"))
	if len(logs) == 0 {
		return ""
	}
	newest := slices.Max(logs) // their names have the time
	text, err := readEnd(newest, diagBytes)
	if err != nil || strings.TrimSpace(text) == "" {
		return ""
	}
	return "_diag/" + filepath.Base(newest) + ":\n" + lastOf(text, diagLines)
}

// readEnd reads the last bytes of a file, from the beginning of a line on.
func readEnd(name string, most int64) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", err
	}
	from := max(0, info.Size()-most)
	text := make([]byte, info.Size()-from)
	n, _ := f.ReadAt(text, from)
	all := strings.ToValidUTF8(string(text[:n]), "")
	if _, whole, cut := strings.Cut(all, "\n"); from > 0 && cut {
		all = whole
	}
	return all, nil
}

// lastOf returns the last lines of text.
func lastOf(text string, most int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// wordsOf joins what a runner printed last and the end of its own log to what a report may hold.
func wordsOf(printed, diag string, most int) string {
	printed, diag = masked(printed), masked(diag)
	if diag == "" {
		return printed
	}
	diag = "\n" + diag
	if room := most - len(diag); len(printed) > room {
		printed = strings.ToValidUTF8(printed[len(printed)-room:], "")
	}
	return strings.TrimPrefix(printed+diag, "\n")
}
