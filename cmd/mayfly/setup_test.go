package main

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/tool"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestCAOfGitHub: the certificates of github.ca_file are trusted here and on AWS, and a file
// that is not there is a fault in its line.
func TestCAOfGitHub(t *testing.T) {
	file, _ := writeConfig(t, strings.Replace(smallConfig, "github: {", "github: {ca_file: ca.pem, ", 1))
	t.Setenv("NO_TOKEN", "x")
	t.Setenv("NO_SECRET", "x")
	if _, errs, code := tooltest.Mayfly(t, "-c", file, "webhook", "ping"); code != 2 || !strings.Contains(errs, "mayfly.yaml:2:19: github.ca_file ca.pem: no such file") || !strings.Contains(errs, "hint: ") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	hub := httptest.NewTLSServer(nil)
	hub.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hub.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := tool.ReadSetup(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ResolveSecrets(); err != nil {
		t.Fatal(err)
	}
	if got := s.AtGitHub().CA; string(got) != string(ca) {
		t.Errorf("here: %q", got)
	}
}
