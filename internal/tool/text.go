package tool

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// atLeastOne is a number on the command line.
type atLeastOne int

// Validate is called by kong.
func (n atLeastOne) Validate() error {
	if n < 1 {
		return fmt.Errorf("%d: want 1 or more", n)
	}
	return nil
}

// Stamp prints a time for a list, by the reader's clock.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("01-02 15:04:05.000")
}

// OrDash is s, and a dash for nothing.
func OrDash(s string) string { return cmp.Or(s, "-") }

// Relative prints path as seen from here when it is below here.
func Relative(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
