package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
)

// TestUnknownHandler has functions of which the stack said something wrong.
func TestUnknownHandler(t *testing.T) {
	for name, want := range map[string]string{
		"": "want claim", contract.HandlerWebhook: `"webhook": want claim`, contract.HandlerClaim: "reading the handlers' settings",
	} {
		t.Setenv(contract.EnvHandler, name)
		t.Setenv("LAMBDA_TASK_ROOT", t.TempDir())
		if _, err := open(t.Context(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", name, err, want)
		}
	}
}
