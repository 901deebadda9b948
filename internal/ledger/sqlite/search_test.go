package sqlite_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
)

// TestFiltersFindOldRows: rows that an earlier version wrote, without the columns that filters
// look at, are found by them; one that cannot be read keeps nobody from opening the file.
func TestFiltersFindOldRows(t *testing.T) {
	db := openDisk(t)
	if err := db.Migrate(t.Context(), "ledger", sqlite.Schema[:sqlite.StepsBeforeSearch]); err != nil {
		t.Fatal(err)
	}
	j := ledger.Job{
		Key: ledger.NewJobKey("acme/web", 7, 1), Scope: ledger.Scope{Repository: "Acme/Web"}, Pool: "small", Name: "Unit Tests", State: ledger.JobCompleted,
		Conclusion: "failure", Created: start,
	}
	body, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMilli() // rows that are older are not kept
	if err := db.Write(t.Context(), func(tx *disk.Tx) error {
		_, err := tx.Exec(`INSERT INTO ledger_jobs (key, open, state, changed, body) VALUES (?, 0, 'completed', ?, ?), ('acme/web/8/1', 0, 'completed', ?, 'no JSON')`,
			j.Key.String(), now, body, now)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	l := openLedger(t, db, sqlite.Config{Limits: limits(0)})
	for _, q := range []ledger.JobQuery{{Repository: "acme/WEB"}, {Pool: "small"}, {Conclusion: "failure"}, {Text: "unit t"}, {Since: start.Add(-time.Second)}} {
		if found, err := l.Jobs(t.Context(), q); err != nil || len(found) != 1 || found[0].Key != j.Key {
			t.Errorf("%+v finds %v, %v", q, found, err)
		}
	}
	if found, err := l.Jobs(t.Context(), ledger.JobQuery{Since: start.Add(time.Second)}); err != nil || len(found) != 0 {
		t.Errorf("a later time finds %v, %v", found, err)
	}
}
