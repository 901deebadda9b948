package sqlite

import (
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A broken row has a body that this version cannot decode.
type broken struct {
	table, key string
	body       []byte
	err        error
}

func (b broken) unreadable() ledger.Unreadable {
	return ledger.Unreadable{Row: b.key, Reason: b.err.Error()}
}

// keys are the key columns of tables.
var keys = map[string]string{"ledger_jobs": "key", "ledger_runners": "name"}

// setAside moves broken rows, unchanged, to their own table, so that the ledger goes on without
// them and nothing is lost that a person may want to inspect.
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
