package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/proof"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// provesDelivery runs mayfly test with a stack whose functions nobody runs: it reads the stack and
// GitHub, and finds that no delivery came that far.
func (w *cloudWorld) provesDelivery(t *testing.T) {
	t.Helper()
	w.push(t, map[string]string{"README": "hello"})
	out, errs, code := w.run(t, nil, "test", worldRepository, "--branch", "try", "--patience", "1s", "--json")
	var v proof.Report
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, out, errs)
	}
	if len(v.Jobs) != 4 || v.Broken == nil || v.Broken.Name != "delivery" || !strings.Contains(v.Broken.What, "of the webhook of acme/web none failed") {
		t.Errorf("%+v, %+v: want that none came and none failed", v, v.Broken)
	}
	w.noBranch(t)
}

// noBranch fails t if the test's branch exists, or if a run of it goes on.
func (w *cloudWorld) noBranch(t *testing.T) {
	t.Helper()
	tooltest.NoBranch(t, github.Config{URL: w.simURL, Token: secret.New(w.token)}, w.sim, worldRepository, "try")
}
