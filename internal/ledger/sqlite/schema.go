package sqlite

// Bodies are the JSON of a job or runner; the other columns are there to find them. Lists are
// ordered by seq, the order of first writes.
var schema = []string{
	`CREATE TABLE ledger_instance (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL)`,

	`CREATE TABLE ledger_jobs (
		seq     INTEGER PRIMARY KEY AUTOINCREMENT,
		key     TEXT NOT NULL UNIQUE, -- acme/web/123/1
		open    INTEGER NOT NULL,     -- 1 until it is settled
		state   TEXT NOT NULL,
		changed INTEGER NOT NULL,     -- when, in milliseconds since 1970
		body    BLOB NOT NULL)`,
	`CREATE INDEX ledger_jobs_open ON ledger_jobs (seq) WHERE open`,
	`CREATE INDEX ledger_jobs_settled ON ledger_jobs (changed) WHERE NOT open`,

	`CREATE TABLE ledger_runners (
		seq     INTEGER PRIMARY KEY AUTOINCREMENT,
		name    TEXT NOT NULL UNIQUE,
		live    INTEGER NOT NULL,     -- 1 until it is gone
		job     TEXT NOT NULL,        -- key of the job it was made for
		changed INTEGER NOT NULL,
		body    BLOB NOT NULL)`,
	`CREATE INDEX ledger_runners_live ON ledger_runners (seq) WHERE live`,
	`CREATE INDEX ledger_runners_gone ON ledger_runners (changed) WHERE NOT live`,
	`CREATE INDEX ledger_runners_job ON ledger_runners (job)`,

	// What it was started from, once it is known how that went; null before.
	`ALTER TABLE ledger_runners ADD COLUMN image TEXT`,
	`CREATE INDEX ledger_runners_image ON ledger_runners (image, seq) WHERE image IS NOT NULL`,

	// Rows of the two above that could not be read, moved here as they were.
	`CREATE TABLE ledger_unreadable (
		seq     INTEGER PRIMARY KEY AUTOINCREMENT,
		source  TEXT NOT NULL,        -- the table that it was in
		key     TEXT NOT NULL,
		body    BLOB,
		reason  TEXT NOT NULL,
		changed INTEGER NOT NULL)`,

	// The mark of the clock ([clock.Mark]) by which the deadlines that are kept were set.
	`ALTER TABLE ledger_instance ADD COLUMN boot TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE ledger_instance ADD COLUMN ahead INTEGER NOT NULL DEFAULT 0`,
	// The limits in force, for those who read beside the process that decides by them.
	`CREATE TABLE ledger_limits (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL)`,

	// For those that fit no pool: metrics ask for them again and again, and all others are many.
	`CREATE INDEX ledger_jobs_state ON ledger_jobs (state, seq)`,

	// For the jobs of a repository that has another name now.
	`CREATE INDEX ledger_jobs_number ON ledger_jobs (` + number + `)`,

	// For lists that are filtered. The index has all that filters look at, in the order of lists, so that a filter that few of
	// many jobs pass reads no bodies. Repository and searched are in lower case,
	// created in milliseconds since 1970 by GitHub's clock.
	`ALTER TABLE ledger_jobs ADD COLUMN repository TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE ledger_jobs ADD COLUMN pool TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE ledger_jobs ADD COLUMN conclusion TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE ledger_jobs ADD COLUMN searched TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE ledger_jobs ADD COLUMN created INTEGER NOT NULL DEFAULT 0`,
	`UPDATE ledger_jobs SET
		repository = lower(coalesce(json_extract(CAST(body AS TEXT), '$.scope.repository'), '')),
		pool = coalesce(json_extract(CAST(body AS TEXT), '$.pool'), ''),
		conclusion = coalesce(json_extract(CAST(body AS TEXT), '$.conclusion'), ''),
		searched = lower(coalesce(json_extract(CAST(body AS TEXT), '$.name'), '') || char(10) ||
			coalesce(json_extract(CAST(body AS TEXT), '$.workflow'), '') || char(10) || key),
		created = coalesce(CAST(strftime('%s', json_extract(CAST(body AS TEXT), '$.created')) AS INTEGER) * 1000, 0)
		WHERE json_valid(CAST(body AS TEXT))`,
	`CREATE INDEX ledger_jobs_search ON ledger_jobs (seq, repository, pool, state, conclusion, open, created, searched)`,
}

// number is what follows the second slash of a job's key ([ledger.JobKey.Number]).
const number = `substr(key, instr(key, '/') + instr(substr(key, instr(key, '/') + 1), '/') + 1)`
