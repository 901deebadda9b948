package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Companion returns the path of a program that is built with mayfly and stands beside it.
func Companion(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", name, err)
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return "", Hint(fmt.Errorf("finding %s: %w", name, err), "it belongs beside mayfly: make build makes both")
	}
	return path, nil
}

// FindCompanion is [Companion] for a program that may also be elsewhere in the PATH.
func FindCompanion(name string) (string, error) {
	path, err := Companion(name)
	if err == nil {
		return path, nil
	}
	if found, pathErr := exec.LookPath(name); pathErr == nil {
		return filepath.Abs(found)
	}
	return "", Hint(fmt.Errorf("this command needs the program %s, which is neither beside mayfly nor in the PATH", name),
		"put the %s of the same release beside mayfly; in the source tree, make build makes both", name)
}
