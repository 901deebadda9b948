package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binaries is the folder of the real programs, built for these tests.
var binaries string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mayfly-bench-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-trimpath", "-o", dir, ".", "../mayfly-agent", "../mayfly-minirunner")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
		return 1
	}
	binaries = dir
	return m.Run()
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
