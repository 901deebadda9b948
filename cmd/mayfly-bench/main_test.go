package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/programtest"
)

// binaries is the folder of the real programs, built for these tests.
var binaries string

func TestMain(m *testing.M) {
	os.Exit(programtest.Main(m, func(dir string) error {
		binaries = dir
		return programtest.Build(dir, "mayfly-bench", "mayfly-agent", "mayfly-minirunner")
	}))
}

// figures runs the program and reads the JSON that it prints.
func figures[T any](t testing.TB, args ...string) (v T) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(filepath.Join(binaries, "mayfly-bench"), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("mayfly-bench %v: %v\n%s%s", args, err, &out, &errs)
	}
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatalf("mayfly-bench %v: %v in %q", args, err, &out)
	}
	return v
}
