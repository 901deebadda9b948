package stack_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
)

// TestTableOfLedger: the template makes the table that the ledger reads and writes.
func TestTableOfLedger(t *testing.T) {
	tree, err := stack.Read(render(t, settings(t, "", small)))
	if err != nil {
		t.Fatal(err)
	}
	got := tree["Resources"].(map[string]any)["Ledger"].(map[string]any)["Properties"].(map[string]any)
	text, err := json.Marshal(awstest.LedgerTable("ledger"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"} {
		if diff := cmp.Diff(plain(want[name]), plain(got[name])); diff != "" {
			t.Errorf("%s (-ledger +template):\n%s", name, diff)
		}
	}
	ttl, _ := got["TimeToLiveSpecification"].(map[string]any)
	if ttl["AttributeName"] != dynamo.TTL || ttl["Enabled"] != true {
		t.Errorf("TimeToLiveSpecification: %v: want attribute %s", ttl, dynamo.TTL)
	}
}

// plain leaves out what is not set.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, value := range v {
			if value != nil {
				kept[name] = plain(value)
			}
		}
		return kept
	case []any:
		var kept []any
		for _, value := range v {
			kept = append(kept, plain(value))
		}
		return kept
	}
	return v
}
