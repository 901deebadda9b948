package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	_ "embed"

	"golang.org/x/sync/errgroup"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// sampleDelivery is GitHub's own example of a queued job, 7 KB.
//
//go:embed delivery.json
var sampleDelivery []byte

// intakeCmd is `mayfly-bench intake`.
type intakeCmd struct {
	Clients []int         `help:"Clients at once, a run for each." default:"1,8,32,256"`
	For     time.Duration `help:"How long a run takes." default:"3s"`
	Rules   int           `help:"Run with so many rules of a configuration, too; 0 for without." default:"100"`
	Match   int           `help:"So many of these match, and each that does is one more delivery to store and to make." default:"1"`
	Dir     string        `help:"Folder for the database, on the disk to be measured." type:"path"`
	JSON    bool          `help:"Print JSON."`
}

// An intakeFigure is one row of the result.
type intakeFigure struct {
	Clients    int     `json:"clients"`
	PerSecond  float64 `json:"deliveries_per_s"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	CPU        float64 `json:"cpu_us_per_delivery"` // server and load together
	Rules      int     `json:"rules"`
	Match      int     `json:"rules_that_match"`
	RuledRate  float64 `json:"with_rules_per_s"` // the same with so many rules more, in turns with the runs without
	RuledP99   float64 `json:"with_rules_p99_ms"`
	RuledCPU   float64 `json:"with_rules_cpu_us_per_delivery"`
	Ledger     float64 `json:"with_ledger_per_s"` // the same with the ledger at work on jobs of a pool, in turns with the others
	LedgerP99  float64 `json:"with_ledger_p99_ms"`
	LedgerCPU  float64 `json:"with_ledger_cpu_us_per_delivery"`
	Behind     int     `json:"ledger_behind"`      // deliveries that waited for the ledger when the load ended, the most
	CaughtUp   float64 `json:"ledger_caught_up_s"` // after so long none did, the longest
	BarePerSec float64 `json:"bare_writes_per_s"`  // the same rows by the same writers, without HTTP, signature and rules
	BareP99    float64 `json:"bare_p99_ms"`
}

// Run measures each number of clients on a fresh database.
func (c *intakeCmd) Run(ctx context.Context, screen *cli.Screen) error {
	if c.Dir == "" {
		dir, err := os.MkdirTemp("", "mayfly-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		c.Dir = dir
	}
	var figures []intakeFigure
	progress := screen.Progress(time.Now)
	for _, clients := range c.Clients {
		progress.Set("%d clients for %v, with %d rules, and bare writes …", clients, c.For, c.Rules)
		f, err := c.measure(ctx, clients)
		if err != nil {
			return err
		}
		figures = append(figures, f)
	}
	progress.End()
	if c.JSON {
		return screen.JSON(figures)
	}
	var rows [][]cli.Cell
	for _, f := range figures {
		rows = append(rows, cli.Text(fmt.Sprint(f.Clients), fmt.Sprintf("%.0f", f.PerSecond), fmt.Sprintf("%.2f", f.P50),
			fmt.Sprintf("%.2f", f.P99), fmt.Sprintf("%.0f", f.CPU), f.ruled(), f.ledger(), fmt.Sprintf("%.2f", f.LedgerP99), fmt.Sprintf("%d, %.1f s", f.Behind, f.CaughtUp), fmt.Sprintf("%.0f", f.BarePerSec), fmt.Sprintf("%.2f", f.BareP99)))
	}
	screen.Table([]string{"CLIENTS", "DELIVERIES/S", "P50 MS", "P99 MS", "CPU µS EACH", fmt.Sprintf("WITH %d RULES/S", c.Rules), "WITH LEDGER/S", "P99 MS", "LEDGER BEHIND", "BARE WRITES/S", "BARE P99 MS"}, rows)
	return nil
}

// ruled is the rate with rules, and how much that is more or less.
func (f intakeFigure) ruled() string {
	if f.Rules == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f (%+.0f %%)", f.RuledRate, 100*(f.RuledRate/f.PerSecond-1))
}

// ledger is the rate with the ledger, and how much that is more or less.
func (f intakeFigure) ledger() string {
	return fmt.Sprintf("%.0f (%+.0f %%)", f.Ledger, 100*(f.Ledger/f.PerSecond-1))
}

func (c *intakeCmd) measure(ctx context.Context, clients int) (f intakeFigure, err error) {
	runs, err := c.serveAll(ctx, clients)
	if err != nil {
		return f, err
	}
	bare, err := c.bare(ctx, clients)
	if err != nil {
		return f, err
	}
	served, ruled, ledger := runs[plainRun], runs[ruledRun], runs[ledgerRun]
	return intakeFigure{
		Ledger: ledger.rate(), LedgerP99: ledger.quantile(0.99), LedgerCPU: ledger.each(), Behind: ledger.behind, CaughtUp: ledger.caughtUp.Seconds(),
		Clients: clients, PerSecond: served.rate(), P50: served.quantile(0.50), P99: served.quantile(0.99),
		CPU: served.each(), Rules: c.Rules, Match: c.Match, RuledRate: ruled.rate(), RuledP99: ruled.quantile(0.99), RuledCPU: ruled.each(),
		BarePerSec: bare.rate(), BareP99: bare.quantile(0.99),
	}, nil
}

// turns is how often the kinds of run take turns, so that what else the machine does falls on all alike.
const turns = 4

// The kinds of run.
const (
	plainRun  = "plain"
	ruledRun  = "ruled"  // with rules of a configuration
	ledgerRun = "ledger" // with the ledger at work
)

// serveAll runs each kind in turns.
func (c *intakeCmd) serveAll(ctx context.Context, clients int) (map[string]intakeRun, error) {
	runs := map[string]intakeRun{}
	for turn := range turns {
		for _, kind := range []string{plainRun, ruledRun, ledgerRun} {
			if kind == ruledRun && c.Rules == 0 {
				continue
			}
			r, err := c.serve(ctx, clients, fmt.Sprintf("intake-%d-%s-%d.db", clients, kind, turn), kind)
			if err != nil {
				return nil, err
			}
			sum := runs[kind]
			sum.add(r)
			runs[kind] = sum
		}
	}
	return runs, nil
}

// serve runs the real handler on the real bus, with the machine's rules and some of a
// configuration, over loopback. Each delivery is of a job of its own. The events go to a target that does
// nothing, so what is measured is the way from the request to its 202; or those of jobs to the ledger, as on a machine, whose
// pool takes them, so that they wait for room.
func (c *intakeCmd) serve(ctx context.Context, clients int, name, kind string) (r intakeRun, err error) {
	db, err := disk.Open(filepath.Join(c.Dir, name), disk.Options{})
	if err != nil {
		return r, err
	}
	defer db.Close()
	log := slog.New(slog.DiscardHandler)
	rules := 0
	if kind == ruledRun {
		rules = c.Rules
	}
	b, err := benchBus(ctx, db, log, rules, c.Match, kind == ledgerRun)
	if err != nil {
		return r, err
	}
	key := rand.Text()
	handler, err := webhook.New(webhook.Config{
		Secrets: []secret.Secret{secret.New(key)}, Publish: b.Publish, Full: disk.ErrFull, Log: log,
		Pools: benchPools(),
	})
	if err != nil {
		return r, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	server := webhook.Server(handler, log)
	go server.Serve(listener)
	defer server.Close()
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- b.Run(running) }()
	defer func() { stop(); <-done }()

	var last atomic.Int64 // id of a job
	r, err = load(ctx, clients, c.For/turns, func() (func(context.Context) error, func() error, error) {
		p, err := dialPoster(listener.Addr().String(), sampleDelivery, key, &last)
		if err != nil {
			return nil, nil, err
		}
		return p.post, p.conn.Close, nil
	})
	if err == nil && kind == ledgerRun {
		r.behind, r.caughtUp, err = catchUp(ctx, db)
	}
	return r, err
}

// catchUp waits until no delivery waits for the ledger. It returns how many did, and how long that took.
func catchUp(ctx context.Context, db *disk.DB) (behind int, took time.Duration, err error) {
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var n int
		if err := db.QueryRow(ctx, `SELECT count(*) FROM deliveries WHERE rule = 'jobs'`).Scan(&n); err != nil {
			return behind, 0, err
		}
		if behind = max(behind, n); n == 0 {
			return behind, time.Since(begun), nil
		}
		if time.Since(begun) > 5*time.Minute {
			return behind, 0, fmt.Errorf("%d deliveries wait for the ledger after 5 minutes", n)
		}
	}
}

// benchPools is one pool that takes the deliveries' jobs, with room for a few.
func benchPools() pool.Set {
	return pool.Set{pool.Pool{Name: "bench", Labels: []string{"ubuntu-latest"}, Max: 20}.WithDefaults()}
}

// benchBus is a bus with the machine's own rules, extra ones of a configuration, and targets
// that do nothing, but for the ledger if that is to work.
func benchBus(ctx context.Context, db *disk.DB, log *slog.Logger, extra, match int, working bool) (b *bus.Bus, err error) {
	nothing := func(context.Context, event.Event) error { return nil }
	targets, batches := map[string]bus.Target{}, map[string]bus.Batch{}
	rules, err := machine.Rules(machine.Outside{})
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		targets[r.Target] = nothing
	}
	for i := range extra {
		p, err := pattern.Parse(benchPattern(i, i < match))
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("bench-%d", i)
		rules = append(rules, bus.Rule{Name: name, Pattern: p, Target: name, Workers: 1})
		targets[name] = nothing
	}
	if working {
		delete(targets, "ledger")
		batches["ledger"], err = benchLedger(ctx, db, log, func(tx *disk.Tx, e event.Event) error {
			_, err := b.PublishTx(tx, e)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	b, err = bus.Open(ctx, db, bus.Config{Rules: rules, Targets: targets, Batches: batches, Log: log})
	return b, err
}

// benchLedger opens a ledger in db, as a machine does, and returns what tells it of jobs.
func benchLedger(ctx context.Context, db *disk.DB, log *slog.Logger, publish func(*disk.Tx, event.Event) error) (bus.Batch, error) {
	limits := ledger.Limits{Pools: benchPools()}
	store, err := sqlite.Open(ctx, db, sqlite.Config{Limits: limits, Emit: func(tx *disk.Tx, effects []ledger.Effect) error {
		for _, effect := range effects {
			e, err := pipeline.EventOf(effect, time.Now())
			if err != nil {
				return err
			}
			e.ID = rand.Text()
			if err := publish(tx, e); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	joins := pipeline.New(pipeline.Config{Ledger: store, Limits: func() ledger.Limits { return limits }, Log: log})
	return joins.Observe, nil
}

// benchPattern is the pattern of a rule as people write them: on queued jobs with some label, of some
// repositories. It matches [sampleDelivery] or does not.
func benchPattern(i int, match bool) []byte {
	label := "ubuntu-latest"
	if !match {
		label = fmt.Sprintf("pool-%d", i)
	}
	return fmt.Appendf(nil, `{"source": ["github.com"], "detail-type": ["workflow_job"], "detail": {"action": ["queued"],
		"workflow_job": {"labels": [%q], "head_branch": [{"anything-but": {"prefix": "renovate/"}}]},
		"repository": {"full_name": [{"wildcard": "*/*-%d"}, {"wildcard": "*/*"}]}}}`, label, i)
}

// bare writes rows of the same size by as many writers, one fsync shared by those
// who write at once: the group-commit rate of SQLite on this disk.
func (c *intakeCmd) bare(ctx context.Context, clients int) (r intakeRun, err error) {
	db, err := disk.Open(filepath.Join(c.Dir, fmt.Sprintf("bare-%d.db", clients)), disk.Options{})
	if err != nil {
		return r, err
	}
	defer db.Close()
	if err := db.Migrate(ctx, "bench", []string{"CREATE TABLE rows (seq INTEGER PRIMARY KEY, body BLOB)"}); err != nil {
		return r, err
	}
	write := func(ctx context.Context) error {
		return db.Write(ctx, func(tx *disk.Tx) error {
			_, err := tx.Exec("INSERT INTO rows (body) VALUES (?)", sampleDelivery)
			return err
		})
	}
	return load(ctx, clients, c.For, func() (func(context.Context) error, func() error, error) {
		return write, func() error { return nil }, nil
	})
}

// A poster posts one delivery again and again over a connection of its own, each
// time of another job and under another GUID. It does less than http.Client, so that what is measured
// is the server: the load runs on the same machine.
type poster struct {
	conn    net.Conn
	answers *bufio.Reader
	head    string // of a request, up to the signature
	key     string
	body    []byte
	id      []byte // of the job, in body
	last    *atomic.Int64
	request []byte // the last one
}

// jobID is the id of the job in sampleDelivery.
const jobID = "289782451"

func dialPoster(address string, body []byte, key string, last *atomic.Int64) (*poster, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	at := bytes.Index(body, []byte(jobID))
	if at < 0 {
		return nil, fmt.Errorf("the sample delivery has no job %s", jobID)
	}
	p := &poster{conn: conn, answers: bufio.NewReader(conn), key: key, body: bytes.Clone(body), last: last}
	p.id = p.body[at : at+len(jobID)]
	p.head = fmt.Sprintf("POST /webhook HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"X-GitHub-Event: %s\r\nX-Hub-Signature-256: ", address, len(body), event.TypeWorkflowJob)
	return p, nil
}

// post posts once and wants a 202.
func (p *poster) post(context.Context) error {
	copy(p.id, strconv.FormatInt(100_000_000+p.last.Add(1), 10))
	p.request = append(append(p.request[:0], p.head...), hook.Sign(p.key, p.body)...)
	p.request = append(append(p.request, "\r\nX-GitHub-Delivery: "...), rand.Text()...)
	p.request = append(append(p.request, "\r\n\r\n"...), p.body...)
	if _, err := p.conn.Write(p.request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(p.answers, nil)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("delivery answered with %s: %s", answer.Status, text)
	}
	return errors.Join(err, answer.Body.Close())
}

// An intakeRun is what a load run gave.
type intakeRun struct {
	times []time.Duration // of each call, sorted
	wall  time.Duration
	cpu   time.Duration // of this process

	behind   int           // deliveries that waited for the ledger at the end, the most of any
	caughtUp time.Duration // how long until none did, the longest of any
}

// add makes r the outcome of both.
func (r *intakeRun) add(o intakeRun) {
	r.times, r.wall, r.cpu = append(r.times, o.times...), r.wall+o.wall, r.cpu+o.cpu
	r.behind, r.caughtUp = max(r.behind, o.behind), max(r.caughtUp, o.caughtUp)
	slices.Sort(r.times)
}

// rate is calls a second; 0 of a run that was not made.
func (r intakeRun) rate() float64 {
	if r.wall == 0 {
		return 0
	}
	return float64(len(r.times)) / r.wall.Seconds()
}

// each is the processor time of a call in microseconds.
func (r intakeRun) each() float64 {
	if len(r.times) == 0 {
		return 0
	}
	return r.cpu.Seconds() * 1e6 / float64(len(r.times))
}

// quantile returns the q-quantile in milliseconds.
func (r intakeRun) quantile(q float64) float64 {
	if len(r.times) == 0 {
		return 0
	}
	return r.times[min(len(r.times)-1, int(q*float64(len(r.times))))].Seconds() * 1e3
}

// load has clients call what client makes for each of them, one call after another,
// for a time. The first error ends it.
func load(ctx context.Context, clients int, d time.Duration, client func() (call func(context.Context) error, end func() error, err error)) (r intakeRun, err error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	times := make([][]time.Duration, clients)
	start, used := time.Now(), cpuTime()
	for i := range clients {
		group.Go(func() error {
			call, end, err := client()
			if err != nil {
				return err
			}
			for err == nil && ctx.Err() == nil {
				began := time.Now()
				err = call(context.WithoutCancel(ctx)) // the last call ends, too
				times[i] = append(times[i], time.Since(began))
			}
			return errors.Join(err, end())
		})
	}
	err = group.Wait()
	r.wall, r.cpu = time.Since(start), cpuTime()-used
	r.times = slices.Concat(times...)
	slices.Sort(r.times)
	return r, err
}

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
