// Package lint checks the Dockerfile of runners: with BuildKit's own rules, with
// shellcheck for what its steps run, and with rules of ours. It is a module of its own,
// so that BuildKit is no dependency of Mayfly.
package lint

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

const dockerfile = "../Dockerfile"

func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile(dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range lint(t, string(text)) {
		t.Error(fault)
	}
}

// TestFaultsAreFound: each rule finds what it is for, planted in the real file.
func TestFaultsAreFound(t *testing.T) {
	text, err := os.ReadFile(dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"FROM ${BASE} AS runner", "FROM ${BASE} as runner", "FromAsCasing"},
		{"FROM ${BASE} AS runner", "FROM ${BASE} AS Runner", "StageNameCasing"},
		{"USER runner\n", "USER runner\nMAINTAINER me\n", "MaintainerDeprecated"},
		{`recommends "$@"`, `recommends $@`, "SC2068"},
		{`"${RUNNER_SHA256:?want the SHA-256 of $RUNNER_FILE}  /tmp`, `"$RUNNER_SHA265  /tmp`, "SC2154"},
		{"@sha256:", ":trixie-slim-", "pinned"},
		{"USER runner\nARG", "ARG", "root"},
		{" --no-install-recommends", "", "--no-install-recommends"},
		{"      rm -rf /var/lib/apt/lists/*; \\\n    fi; \\\n    if [ -e", "    fi; \\\n    if [ -e", "apt/lists"},
		{"RUN set -eu; \\\n    if [ \"$RUNNER_FILE\" = runner-program ]; then is=", "RUN if [ \"$RUNNER_FILE\" = runner-program ]; then is=", "set -eu"},
		{"COPY mayfly-agent", "ADD https://example.com/mayfly-agent", "ADD"},
	} {
		planted := strings.Replace(string(text), c.old, c.new, 1)
		if planted == string(text) {
			t.Errorf("%q is not in the Dockerfile", c.old)
			continue
		}
		faults := lint(t, planted)
		if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, c.want) }) {
			t.Errorf("%q in place of %q: found %q, want %q", c.new, c.old, faults, c.want)
		}
	}
}

// lint returns what is wrong with a Dockerfile.
func lint(t *testing.T, text string) (faults []string) {
	t.Helper()
	file, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return []string{err.Error()}
	}
	rules := linter.New(&linter.Config{Warn: func(rule, _, _, message string, at []parser.Range) {
		faults = append(faults, fmt.Sprintf("line %d: %s: %s", at[0].Start.Line, rule, message))
	}})
	stages, args, err := instructions.Parse(file.AST, rules)
	if err != nil {
		return append(faults, err.Error())
	}
	defaults := map[string]string{}
	for _, a := range args {
		for _, pair := range a.Args {
			defaults[pair.Key] = pair.ValueString()
		}
	}
	for _, s := range stages {
		base := os.Expand(s.BaseName, func(name string) string { return defaults[name] })
		if !strings.Contains(base, "@sha256:") {
			faults = append(faults, base+": want it pinned by digest")
		}
		faults = append(faults, lintStage(t, s)...)
	}
	return faults
}

// lintStage follows the steps of a stage: what variables there are, and who runs them.
func lintStage(t *testing.T, s instructions.Stage) (faults []string) {
	t.Helper()
	user, variables := "root", []string{"PATH"}
	for _, command := range s.Commands {
		switch c := command.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.ArgCommand:
			for _, a := range c.Args {
				variables = append(variables, a.Key)
			}
		case *instructions.EnvCommand:
			for _, e := range c.Env {
				variables = append(variables, e.Key)
			}
		case *instructions.AddCommand:
			faults = append(faults, "ADD: want COPY of a file that was checked")
		case *instructions.RunCommand:
			faults = append(faults, lintScript(t, strings.Join(c.CmdLine, " "), variables)...)
		}
	}
	if s.Name == "" && user == "root" {
		faults = append(faults, "the image runs as root")
	}
	return faults
}

func lintScript(t *testing.T, script string, variables []string) (faults []string) {
	t.Helper()
	for needs, rule := range map[string][]string{
		"":                 {"set -eu; "},
		"apt-get install ": {"--no-install-recommends", "rm -rf /var/lib/apt/lists/*"},
	} {
		for _, want := range rule {
			if strings.Contains(script, needs) && !strings.Contains(script, want) {
				faults = append(faults, fmt.Sprintf("%.40s…: want %s", script, want))
			}
		}
	}
	var declared bytes.Buffer
	for _, v := range variables {
		fmt.Fprintf(&declared, "export %s=x\n", v)
	}
	check := exec.Command("shellcheck", "--shell=sh", "--enable=check-unassigned-uppercase", "--format=gcc", "-")
	check.Stdin = strings.NewReader(declared.String() + script + "\n")
	out, err := check.CombinedOutput()
	var found *exec.ExitError
	switch {
	case errors.As(err, &found):
		return append(faults, strings.Split(strings.TrimSpace(string(out)), "\n")...)
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("scripts/setup test installs shellcheck: %v", err)
	case err != nil:
		t.Skipf("SKIPPED, NOT TESTED: scripts/setup test installs shellcheck: %v", err)
	}
	return faults
}
