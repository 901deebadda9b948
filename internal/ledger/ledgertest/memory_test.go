package ledgertest_test

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/ledgertest"
)

func TestMemory(t *testing.T) {
	folders := map[string]*ledgertest.Kept{}
	ledgertest.Test(t, func(t *testing.T, c ledgertest.Config) ledger.Store {
		if folders[c.Dir] == nil {
			folders[c.Dir] = &ledgertest.Kept{}
		}
		return ledgertest.NewMemory(folders[c.Dir], c)
	})
}
