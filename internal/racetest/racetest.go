// Package racetest has tests do less while the race detector watches. Computing is ten times as
// slow then, and what the detector can see of a property or of a simulated day it sees the first
// times. make test runs the packages that use this without the detector as well, in full.
package racetest

import (
	"flag"
	"testing"
)

// Fewer returns all, or few under the race detector.
func Fewer[T any](all, few T) T {
	if enabled {
		return few
	}
	return all
}

// Skip skips a test under the race detector: one that computes for long, in one goroutine.
func Skip(t *testing.T) {
	t.Helper()
	if enabled {
		t.Skip("make test runs it without the race detector")
	}
}

// Main runs the tests of a package, with a tenth of the checks of each property under the race
// detector. It returns the exit code.
func Main(m *testing.M) int {
	if f := flag.Lookup("rapid.checks"); f != nil { // what the command line says is set later, and counts
		if err := f.Value.Set(Fewer("100", "10")); err != nil {
			panic(err)
		}
	}
	return m.Run()
}
