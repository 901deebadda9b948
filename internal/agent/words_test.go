package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMasked(t *testing.T) {
	jwt := "eyJhbGciOiJSUzI1NiJ9." + strings.Repeat("a", 40) + ".c2ln-_"
	for text, want := range map[string]string{
		"An error occurred: no good":               "An error occurred: no good",
		"token ghs_0123456789abcdefghij!":          "token ***!",
		"ghs_123456_" + jwt + " x":                 "*** x",
		"github_pat_11ABCDEFG0123456789":           "***",
		"jwt " + jwt + ", then":                    "jwt ***, then",
		"Authorization: Bearer abcdefgh12345678":   "Authorization: ***",
		"jit " + strings.Repeat("QUJD", 40) + "==": "jit ***",
		"sha256:" + strings.Repeat("0f", 32):       "sha256:" + strings.Repeat("0f", 32),
		"/home/runner/_work/web/web/src/main/java": "/home/runner/_work/web/web/src/main/java",
	} {
		if got := masked(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestDiagnosis(t *testing.T) {
	home := t.TempDir()
	if got := diagnosis(filepath.Join(home, "run.sh")); got != "" {
		t.Errorf("%q without a _diag", got)
	}
	if err := os.Mkdir(filepath.Join(home, "_diag"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"Runner_20260101-000000-utc.log": "older", "Worker_20270101-000000-utc.log": "of a job",
		"Runner_20260102-000000-utc.log": strings.Repeat("a long line of the log\n", 100) + "the last\n",
	} {
		if err := os.WriteFile(filepath.Join(home, "_diag", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := diagnosis(filepath.Join(home, "run.sh"))
	if want := "_diag/Runner_20260102-000000-utc.log:\na long line"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "log\nthe last") || strings.Count(got, "\n") != diagLines {
		t.Errorf("%q, want %d lines of the newest", got, diagLines)
	}
	if words := wordsOf(strings.Repeat("x ", 2000), got, 4096); len(words) != 4096 || !strings.HasSuffix(words, got) {
		t.Errorf("%d bytes: %q, want the log whole and of the output as much as fits", len(words), words)
	}
	if words := wordsOf("", got, 4096); words != got {
		t.Errorf("%q, want the log alone", words)
	}
}
