package main

import (
	"log/slog"
	"strings"
	"testing"
)

// TestNoSettings starts the program without what has to lie beside it.
func TestNoSettings(t *testing.T) {
	t.Setenv("LAMBDA_TASK_ROOT", t.TempDir())
	if _, err := open(t.Context(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "reading the handlers' settings") {
		t.Errorf("error %v, want that the settings are missing", err)
	}
}
