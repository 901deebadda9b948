package bus

import (
	"context"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/eventlog"
)

// letterBatch is how many dead letters one write moves, so that other writes wait little.
const letterBatch = 100

// picked is the SQL condition of a LetterFilter; values returns its arguments.
const picked = `(? = 'null' OR events.id IN (SELECT value FROM json_each(?))) AND (? = '' OR rule = ?)`

// pickedValues are the values of [picked].
func pickedValues(f eventlog.LetterFilter) []any {
	ids := texts(f.Events)
	return []any{ids, ids, f.Rule, f.Rule}
}

// DeadLetters returns up to limit dead letters that pass f, newest first.
func DeadLetters(ctx context.Context, db *disk.DB, f eventlog.LetterFilter, limit int) ([]eventlog.DeadLetter, error) {
	rows, err := db.Query(ctx, `SELECT `+columns+`, rule, replay, attempts, reason, died
		FROM `+whole+` JOIN dead_letters ON dead_letters.seq = events.seq
		WHERE `+picked+` ORDER BY died DESC, events.seq DESC, rule, replay LIMIT ?`, append(pickedValues(f), limit)...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (l eventlog.DeadLetter, err error) {
		var died int64
		var replay string
		l.Stored, err = scan(rows, &l.Rule, &replay, &l.Attempts, &l.Reason, &died)
		l.Died, l.Event.ReplayName = milli(died), replay
		return l, err
	})
}

// CountDeadLetters returns the number of dead letters by rule, of the rules that have any.
func CountDeadLetters(ctx context.Context, db *disk.DB) (map[string]int, error) {
	rows, err := db.Query(ctx, `SELECT rule, count(*) FROM dead_letters GROUP BY rule`)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	_, err = collect(rows, func() (_ struct{}, err error) {
		var rule string
		var n int
		err = rows.Scan(&rule, &n)
		counts[rule] = n
		return struct{}{}, err
	})
	return counts, err
}

// Retry makes the dead letters that pass f pending again, as if never tried, and returns how many.
// Those of rules that the bus does not have stay dead. The age of an event still counts from its
// publishing: one older than its rule's MaxAge gets one more attempt.
//
// Each dead letter moves in one transaction, so it is never both dead and pending, nor neither.
// After an error the counted ones are moved, and calling Retry again moves the rest.
func (b *Bus) Retry(ctx context.Context, f eventlog.LetterFilter) (int, error) {
	return b.takeLetters(ctx, f, func(tx *disk.Tx, l letterKey) (bool, error) {
		q := b.routes.Load().queues[l.rule]
		if q == nil {
			return false, nil
		}
		again := delivery{queue: q, subject: l.subject}
		tx.OnCommit(func() { q.add(again) })
		return true, addPending(tx, again)
	})
}

// Drop deletes the dead letters that pass f, and returns how many. Their events stay as long as
// events do. Errors are those of [Bus.Retry].
func (b *Bus) Drop(ctx context.Context, f eventlog.LetterFilter) (int, error) {
	return b.takeLetters(ctx, f, func(*disk.Tx, letterKey) (bool, error) { return true, nil })
}

// A letterKey is the primary key of a dead letter.
type letterKey struct {
	subject
	rule string
}

// takeLetters passes each dead letter that passes f to take, once, and deletes those that it takes.
func (b *Bus) takeLetters(ctx context.Context, f eventlog.LetterFilter, take func(*disk.Tx, letterKey) (bool, error)) (taken int, err error) {
	// It goes on from the last one seen, so that a letter that dies again meanwhile ends nothing.
	var last letterKey
	for more := true; more; {
		n := 0
		err := b.db.Write(ctx, func(tx *disk.Tx) error {
			batch, err := lettersAfter(tx, last, f)
			if err != nil {
				return err
			}
			n, err = takeBatch(tx, batch, take)
			if more = len(batch) == letterBatch; more {
				last = batch[len(batch)-1]
			}
			return err
		})
		if err != nil {
			return taken, err
		}
		taken += n
	}
	return taken, nil
}

func takeBatch(tx *disk.Tx, batch []letterKey, take func(*disk.Tx, letterKey) (bool, error)) (n int, err error) {
	for _, l := range batch {
		ok, err := take(tx, l)
		if err != nil {
			return n, err
		}
		if !ok {
			continue
		}
		if _, err := tx.Exec(`DELETE FROM dead_letters WHERE seq = ? AND rule = ? AND replay = ?`, l.seq, l.rule, l.replay); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// lettersAfter returns the next batch of dead letters that pass f, in the order of their table.
func lettersAfter(tx *disk.Tx, last letterKey, f eventlog.LetterFilter) ([]letterKey, error) {
	rows, err := tx.Query(`SELECT seq, rule, replay FROM dead_letters JOIN events USING (seq)
		WHERE (seq, rule, replay) > (?, ?, ?) AND `+picked+` ORDER BY seq, rule, replay LIMIT ?`,
		append(append([]any{last.seq, last.rule, last.replay}, pickedValues(f)...), letterBatch)...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func() (l letterKey, err error) { return l, rows.Scan(&l.seq, &l.rule, &l.replay) })
}
