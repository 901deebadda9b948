package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

// A Reader reads a ledger, for example from another process than the one that writes it.
type Reader struct {
	db     *disk.DB
	limits atomic.Pointer[ledger.Limits] // limits of the deciding process; nil in any other
}

// Migrated returns nil if db has the tables that a [Reader] reads, and [disk.ErrOlder] if no ledger
// of this version was opened on it yet.
func Migrated(ctx context.Context, db *disk.DB) error { return db.Migrated(ctx, "ledger", schema) }

// NewReader returns the reading side of the ledger in db. It also reads the limits that are, or
// were last, in force: what is said about a job, such as that its pool is full, follows from those
// and not from the current file. The state of a ledger without stored limits has no pools. If the
// file is not [Migrated], the first query returns an error.
func NewReader(db *disk.DB) *Reader { return &Reader{db: db} }

// selectState selects what a state needs in one statement, so that it is a consistent snapshot.
const selectState = `SELECT 'instance', '', name FROM ledger_instance
	UNION ALL SELECT 'limits', '', body FROM ledger_limits
	UNION ALL SELECT 'ledger_jobs', key, body FROM ledger_jobs WHERE open
	UNION ALL SELECT 'ledger_runners', name, body FROM ledger_runners WHERE live
	UNION ALL SELECT 'ledger_unreadable', key, reason FROM ledger_unreadable`

// Snapshot implements [ledger.Store].
func (r *Reader) Snapshot(ctx context.Context) (*ledger.State, error) {
	rows, err := r.db.Query(ctx, selectState)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	state, bad, err := scanState(rows, r.limits.Load())
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	for _, b := range bad { // the writer moves them when it reads them
		state.SetAside(b.unreadable())
	}
	return state, nil
}

// scanState reads the result of selectState, and returns the rows that it cannot read. Own limits,
// if given, take precedence over the stored ones.
func scanState(rows *sql.Rows, own *ledger.Limits) (_ *ledger.State, bad []broken, err error) {
	defer rows.Close()
	var limits ledger.Limits
	var instance string
	var jobs []ledger.Job
	var runners []ledger.Runner
	var aside []ledger.Unreadable
	for rows.Next() {
		var b broken
		if err := rows.Scan(&b.table, &b.key, &b.body); err != nil {
			return nil, nil, err
		}
		switch b.table {
		case "instance":
			instance = string(b.body)
		case "limits":
			err = json.Unmarshal(b.body, &limits)
		case "ledger_jobs":
			jobs, b.err = decode(jobs, b.body)
		case "ledger_runners":
			runners, b.err = decode(runners, b.body)
		default:
			aside = append(aside, ledger.Unreadable{Row: b.key, Reason: string(b.body)})
		}
		if err != nil {
			return nil, nil, fmt.Errorf("limits in force: %w", err)
		}
		if b.err != nil {
			bad = append(bad, b)
		}
	}
	if own != nil {
		limits = *own
	}
	state := ledger.NewState(instance, limits)
	state.Load(jobs, runners)
	state.SetAside(aside...)
	return state, bad, rows.Err()
}

// scan reads rows of keys and bodies, and returns those of table that it cannot read.
func scan[T any](rows *sql.Rows, table string) (list []T, bad []broken, err error) {
	defer rows.Close()
	for rows.Next() {
		b := broken{table: table}
		if err := rows.Scan(&b.key, &b.body); err != nil {
			return nil, nil, err
		}
		if list, b.err = decode(list, b.body); b.err != nil {
			bad = append(bad, b)
		}
	}
	return list, bad, rows.Err()
}

// decode appends the decoded body to list, or returns why it cannot be read.
func decode[T any](list []T, body []byte) ([]T, error) {
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		return list, fmt.Errorf("%w, in %.80q", err, body)
	}
	return append(list, v), nil
}

// Jobs implements [ledger.Store].
func (r *Reader) Jobs(ctx context.Context, q ledger.JobQuery) ([]ledger.Job, error) {
	s := selection{table: "ledger_jobs", index: searchIndex(q)}
	s.search(q)
	if !q.Key.IsZero() {
		s.where("key = ?", q.Key.String())
	}
	if q.Open {
		s.where("open")
	}
	if len(q.States) > 0 {
		var states []any
		for _, state := range q.States {
			states = append(states, string(state))
		}
		s.where("state IN (?"+strings.Repeat(", ?", len(states)-1)+")", states...)
	}
	if !q.After.IsZero() {
		s.where("seq < (SELECT seq FROM ledger_jobs WHERE key = ?)", q.After.String())
	}
	jobs, err := query[ledger.Job](ctx, r.db, s, q.Limit)
	if err == nil && len(jobs) == 0 && !q.Key.IsZero() {
		err = fmt.Errorf("job %s: %w", q.Key, ledger.ErrNotFound)
	}
	return jobs, err
}

// Runners implements [ledger.Store].
func (r *Reader) Runners(ctx context.Context, q ledger.RunnerQuery) ([]ledger.Runner, error) {
	s := selection{table: "ledger_runners"}
	if q.Name != "" {
		s.where("name = ?", string(q.Name))
	}
	if q.Live {
		s.where("live")
	}
	if !q.Job.IsZero() {
		s.where("job = ?", q.Job.String())
	}
	if q.Image != "" {
		s.where("image = ?", q.Image)
	}
	if q.After != "" {
		s.where("seq < (SELECT seq FROM ledger_runners WHERE name = ?)", string(q.After))
	}
	runners, err := query[ledger.Runner](ctx, r.db, s, q.Limit)
	if err == nil && len(runners) == 0 && q.Name != "" {
		err = fmt.Errorf("runner %s: %w", q.Name, ledger.ErrNotFound)
	}
	return runners, err
}

// searchIndex is the index that finds the jobs of q without their bodies; "" where the planner finds them by a column.
func searchIndex(q ledger.JobQuery) string {
	many := len(q.States) > 1 && slices.Contains(q.States, ledger.JobCompleted) // of which the planner would sort all
	if q.Key.IsZero() && (many || q.Repository != "" || q.Pool != "" || q.Conclusion != "" || q.Text != "" || !q.Since.IsZero()) {
		return "ledger_jobs_search"
	}
	return ""
}

// search adds the conditions of q that are about a job's own words.
func (s *selection) search(q ledger.JobQuery) {
	switch repository := ledger.Lower(q.Repository); {
	case strings.HasSuffix(repository, "/"):
		s.where("substr(repository, 1, ?) = ?", utf8.RuneCountInString(repository), repository)
	case repository != "":
		s.where("repository = ?", repository)
	}
	if q.Pool != "" {
		s.where("pool = ?", q.Pool)
	}
	if q.Conclusion != "" {
		s.where("conclusion = ?", q.Conclusion)
	}
	if q.Text != "" {
		s.where("instr(searched, ?) > 0", ledger.Lower(q.Text))
	}
	if !q.Since.IsZero() {
		s.where("created >= ?", q.Since.UnixMilli())
	}
}

// A selection is a query under construction.
type selection struct {
	table      string
	index      string // that has all columns of the conditions; "" for whichever the planner takes
	conditions []string
	args       []any
}

func (s *selection) where(condition string, args ...any) {
	s.conditions = append(s.conditions, condition)
	s.args = append(s.args, args...)
}

func query[T any](ctx context.Context, db *disk.DB, s selection, limit int) ([]T, error) {
	picked := ""
	if len(s.conditions) > 0 {
		picked = " WHERE " + strings.Join(s.conditions, " AND ")
	}
	if picked += " ORDER BY seq DESC LIMIT ?"; s.index != "" {
		picked = " WHERE seq IN (SELECT seq FROM " + s.table + " INDEXED BY " + s.index + picked + ") ORDER BY seq DESC"
	}
	rows, err := db.Query(ctx, "SELECT "+keys[s.table]+", body FROM "+s.table+picked, append(s.args, cmp.Or(limit, ledger.DefaultLimit))...)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	list, bad, err := scan[T](rows, s.table)
	if err == nil && len(list) == 0 && len(bad) > 0 { // a longer list omits them
		err = fmt.Errorf("reading %s: %w", bad[0].key, bad[0].err)
	}
	return list, err
}

var _ ledger.Store = (*Ledger)(nil)
