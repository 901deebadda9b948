package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// A Memo keeps texts in the ledger's table for the functions of a stack, such as how far the sweep has read
// GitHub's list of deliveries. The last to write wins. A text is at most some 390 KB.
type Memo struct{ table table }

// Memo returns the memo in l's table.
func (l *Ledger) Memo() Memo { return Memo{l.table} }

// Read returns the text called name; nil if there is none.
func (m Memo) Read(ctx context.Context, name string) ([]byte, error) {
	it, err := m.table.get(ctx, keyOf(partMemo, name))
	if err != nil {
		return nil, fmt.Errorf("reading the memo %s: %w", name, err)
	}
	if it == nil {
		return nil, nil
	}
	return []byte(textOf(it, attrBody)), nil
}

// Write keeps text as name.
func (m Memo) Write(ctx context.Context, name string, body []byte) error {
	it := keyOf(partMemo, name)
	it[attrBody] = text(string(body))
	if _, err := m.table.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &m.table.name, Item: it}); err != nil {
		return fmt.Errorf("writing the memo %s: %w", name, err)
	}
	return nil
}
