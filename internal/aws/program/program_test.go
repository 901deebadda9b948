package program_test

import (
	"bytes"
	"debug/elf"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/program"
)

func TestProgramIsForLinuxAndTheSameEachTime(t *testing.T) {
	var first []byte
	for range 2 {
		body, err := program.Linux(t.Context(), program.Agent, "amd64")
		if err != nil {
			t.Fatal(err)
		}
		file, err := elf.NewFile(bytes.NewReader(body))
		if err != nil || file.Machine != elf.EM_X86_64 {
			t.Fatalf("%v, %v: want a program for amd64", file, err)
		}
		if first != nil && !bytes.Equal(first, body) {
			t.Error("built twice it differs")
		}
		first = body
	}
	if _, err := program.Linux(t.Context(), "mayfly-nothing", "arm64"); err == nil || !strings.Contains(err.Error(), "mayfly-nothing for linux/arm64") {
		t.Errorf("no such program: %v", err)
	}
}
