package sqlite

import (
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A broken row is one whose body is none of this version: its table, key and body, and why.
type broken struct {
	table, key string
	body       []byte
	err        error
}

func (b broken) unreadable() ledger.Unreadable {
	return ledger.Unreadable{Row: b.key, Reason: b.err.Error()}
}

// keys are the columns that name the rows of tables.
var keys = map[string]string{"ledger_jobs": "key", "ledger_runners": "name"}

// setAside moves broken rows to a table of their own, whole, so that the ledger goes on
// without them and nothing is lost that somebody may want to look at.
func setAside(tx *disk.Tx, rows []broken, now int64) error {
	for _, b := range rows {
		if _, err := tx.Exec(`INSERT INTO ledger_unreadable (source, key, body, reason, changed) VALUES (?, ?, ?, ?, ?)`,
			b.table, b.key, b.body, b.err.Error(), now); err != nil {
			return fmt.Errorf("setting %s aside: %w", b.key, err)
		}
		if _, err := tx.Exec(`DELETE FROM `+b.table+` WHERE `+keys[b.table]+` = ?`, b.key); err != nil {
			return fmt.Errorf("setting %s aside: %w", b.key, err)
		}
	}
	return nil
}
