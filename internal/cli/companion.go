package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Companion returns the path of a program that is built with mayfly and installed next to it.
func Companion(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", name, err)
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return "", Hint(fmt.Errorf("finding %s: %w", name, err), "install it next to mayfly; in the source tree, make build builds both")
	}
	return path, nil
}

// FindCompanion is [Companion] for a program that may also be in the PATH. The one next to
// mayfly wins, because it is of the same release.
func FindCompanion(name string) (string, error) {
	path, err := Companion(name)
	if err == nil {
		return path, nil
	}
	if found, pathErr := exec.LookPath(name); pathErr == nil {
		return filepath.Abs(found)
	}
	return "", Hint(fmt.Errorf("this command needs the program %s, which is neither next to mayfly nor in the PATH", name),
		"install %s of the same release next to mayfly; in the source tree, make build builds both", name)
}
