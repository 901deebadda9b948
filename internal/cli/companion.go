package cli

import (
	"fmt"
	"os"
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
