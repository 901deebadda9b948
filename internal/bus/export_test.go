package bus

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

// A Pending is a delivery that is still to be made.
type Pending struct {
	Rule      string
	Seq       int64 // of the event
	EventID   string
	Published time.Time
	Attempts  int       // made so far
	Due       time.Time // of the next attempt; zero when none was made
	LastError string
}

// PendingDeliveries reads what is pending, in the order of work within each rule.
func PendingDeliveries(ctx context.Context, db *disk.DB, limit int) ([]Pending, error) {
	rows, err := db.Query(ctx, `SELECT rule, seq, id, published, attempts, due, last_error
		FROM deliveries JOIN events USING (seq) ORDER BY rule, due, seq LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (p Pending, err error) {
		var published, due int64
		err = rows.Scan(&p.Rule, &p.Seq, &p.EventID, &published, &p.Attempts, &due, &p.LastError)
		p.Published = milli(published)
		if due != 0 {
			p.Due = milli(due)
		}
		return p, err
	})
}
