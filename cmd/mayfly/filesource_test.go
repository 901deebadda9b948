package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestDatabaseOfAnEarlierVersion has the commands that read come to a database that no
// mayfly up of this version has opened: beside one of an earlier version that runs, and after it.
func TestDatabaseOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	file, state := writeConfig(t, smallConfig)
	db, err := disk.Open(filepath.Join(state, machine.DatabaseName), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "bus", []string{"CREATE TABLE bus_events (seq INTEGER PRIMARY KEY)"}); err != nil {
		t.Fatal(err)
	}
	refused := func(hint string) {
		t.Helper()
		for _, args := range []string{"status", "jobs", "runners", "events", "schema list", "dlq list", "quarantine list", "replay list", "rule list"} {
			out, errs, code := tooltest.Mayfly(t, append([]string{"-c", file}, strings.Fields(args)...)...)
			if code != 1 || !strings.Contains(errs, "tables of bus are at step 1, want ") || !strings.Contains(errs, "written by an older version") || !strings.Contains(errs, hint) {
				t.Errorf("%s: exit code %d\n%s%s\nwant %s", args, code, out, errs, hint)
			}
		}
	}
	refused("hint: the mayfly up that runs is of an older version")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	refused("hint: mayfly up of this version brings the database up to date")
}
