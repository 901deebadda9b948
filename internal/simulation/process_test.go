package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/clock"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/event/pattern"
	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/sqlite"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// A process is one run of Mayfly. It joins the stages as mayfly up does (cmd/mayfly, machine.go and rules.go).
type process struct {
	*world
	dead   bool // killed: nothing that it does has an effect any more
	buried bool // what it held is let go of, and another one is on its way
	ctx    context.Context
	cancel context.CancelFunc
	db     *disk.DB
	bus    *bus.Bus
	ledger *sqlite.Ledger
	joins  *pipeline.Pipeline
	hook   *webhook.Handler

	doors    map[string]http.Handler // claim sockets, by runner
	starting map[string]bool         // runners whose container is being started
	watching map[string]bool         // containers whose end it will see
	pumping  int                     // how many steps of the bus are under way
	woken    time.Duration           // when the bus is stepped next
	events   int                     // that were made, for their ids
	mirror   *ledger.State           // what the ledger holds; nil while that is not known
	strays   time.Time               // and registrations that are left
}

var (
	errPower  = errors.New("killed")
	hookKey   = secret.New("a secret of the webhook")
	hookURL   = "http://127.0.0.1:1/webhook"
	quietLog  = slog.New(slog.DiscardHandler)
	anyone, _ = pattern.Parse([]byte(`{"source": ["github.com"], "detail-type": ["workflow_job"]}`))
)

// ownRules are those of mayfly up.
func ownRules() (rules []bus.Rule) {
	rules = []bus.Rule{{Name: "jobs", Pattern: anyone, Target: "ledger", Workers: 32}}
	for _, r := range []struct {
		name, kind string
		workers    int
	}{{"launch", event.TypeRunnerWanted, 32}, {"remove", event.TypeRunnerUnwanted, 16}, {"check", event.TypeJobUncertain, 2}} {
		p, err := pattern.Parse([]byte(fmt.Sprintf(`{"source": ["mayfly"], "detail-type": [%q]}`, r.kind)))
		if err != nil {
			panic(err)
		}
		rules = append(rules, bus.Rule{Name: r.name, Pattern: p, Target: r.name, Workers: r.workers})
	}
	return rules
}

func (w *world) limits() ledger.Limits {
	set := pool.Set{}
	for _, p := range pools() {
		most := p.max
		if w.broken == "the pool's max is ignored" {
			most = 0
		}
		set = append(set, pool.Pool{Name: p.name, Labels: p.labels, Max: most, IdleLimit: 4 * time.Minute}.WithDefaults())
	}
	return ledger.Limits{Pools: set}
}

// A poolShape is a pool, as far as it matters here.
type poolShape struct {
	name   string
	labels []string
	max    int
}

func pools() []poolShape {
	return []poolShape{{"small", []string{"self-hosted", "linux", "x64"}, 6}, {"big", []string{"linux", "gpu"}, 3}}
}

func (p poolShape) takes(labels []string) bool {
	return !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(p.labels, strings.ToLower(l)) })
}

func (p *process) limit(name string) int {
	for _, one := range pools() {
		if one.name == name {
			return one.max
		}
	}
	return 0
}

// boot starts Mayfly, and again until it serves.
func (w *world) boot() {
	w.process++
	p := &process{
		world: w, doors: map[string]http.Handler{}, starting: map[string]bool{}, watching: map[string]bool{}, woken: math.MaxInt64,
		strays: w.wall().Add(-pipeline.RegistrationsBack),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	err := p.open()
	if err == nil {
		w.mayfly = p
		w.note("mayfly %d serves", w.process)
		err = p.resume()
	}
	if err != nil && !p.dead {
		w.fault("starting Mayfly: %v", err)
	}
	if p.dead {
		p.bury()
		return
	}
	p.begin()
}

// open opens and joins the stages.
func (p *process) open() (err error) {
	if p.db, err = disk.Open(filepath.Join(p.dir, "mayfly.db"), disk.Options{Commit: p.commit}); err != nil {
		return err
	}
	p.bus, err = bus.Open(p.ctx, p.db, bus.Config{
		Rules: ownRules(), Log: quietLog, Now: p.wall, Rand: func() float64 { return float64(p.pick("backoff", 1000)) / 1000 },
		Targets: map[string]bus.Target{
			"ledger": p.final(p.observe), "launch": p.final(carry(p.launch)), "remove": p.final(carry(p.remove)),
			"check": p.final(carry(func(ctx context.Context, q ledger.CheckJob) error { return p.joins.Check(ctx, q) })),
		},
	})
	if err != nil {
		return err
	}
	clocks := clock.Clock{Now: p.wall, Steady: p.steady, Boot: "boot"}
	if p.broken == "the clock is not watched" {
		clocks = clock.Of(p.wall)
	}
	if p.ledger, err = sqlite.Open(p.ctx, p.db, sqlite.Config{Limits: p.limits(), Emit: p.emit, Clock: clocks, Instance: "sim"}); err != nil {
		return err
	}
	forge, err := github.New(github.Config{
		URL: "http://127.0.0.1:1", Token: secret.New("a token"), Transport: line{p}, Timeout: time.Hour, Backoff: 1, Clock: clocks,
		Jitter: func() float64 { return 0 },
	})
	if err != nil {
		return err
	}
	p.joins = pipeline.New(pipeline.Config{
		Ledger: watched{p.ledger, p}, Forge: forge, Limits: p.limits, Log: quietLog, Now: p.wall, HookAt: "acme", HookURL: hookURL,
		Vanish: func(_ context.Context, name ledger.RunnerName) error { return p.vanish(string(name)) },
	})
	p.hook, err = webhook.New(webhook.Config{Secrets: []secret.Secret{hookKey}, Pools: p.limits().Pools, Publish: p.bus.Publish, Now: p.wall, Log: quietLog})
	return err
}

// step is a moment at which the process may be killed. It reports whether it lives.
func (w *world) step(p *process) bool {
	if w.armed > 0 && !p.dead {
		if w.armed--; w.armed == 0 {
			w.crash(p)
		}
	}
	return !p.dead
}

// crash kills p, and starts another after a while.
func (w *world) crash(p *process) {
	if p == nil || p.dead {
		return
	}
	p.dead = true
	p.cancel()
	w.note("mayfly is killed")
	if w.chance("what starts dies with it", 40) { // as when memory runs out
		for _, c := range w.host.containers {
			if c.id == 0 {
				c.kill()
			}
		}
	}
	if w.mayfly == p {
		w.here(0, p.bury)
	}
}

// bury lets go of what the process held, and has another one started.
func (p *process) bury() {
	if p.world.mayfly == p {
		p.world.mayfly = nil
	}
	if p.buried {
		return
	}
	p.buried = true
	if p.db != nil {
		if err := p.db.Close(); err != nil {
			p.fault("closing the database: %v", err)
		}
	}
	if p.world.broken == "nothing is kept" {
		p.world.lose()
	}
	p.here(p.span("restart", time.Second, 90*time.Second), p.boot)
}

// commit is killed before it, or after it.
func (p *process) commit(commit func() error) error {
	if !p.step(p) {
		return errPower
	}
	if err := commit(); err != nil {
		return err
	}
	if !p.step(p) {
		return errPower
	}
	return nil
}

// resume takes up what an earlier process left.
func (p *process) resume() error {
	var names []ledger.RunnerName
	for _, c := range p.host.containers {
		names = append(names, ledger.RunnerName(c.name))
		p.openDoor(c.name)
		p.watching[c.name] = true
		if !c.running {
			p.here(0, func() { p.exited(c) })
		}
	}
	_, err := p.joins.Ledger.Apply(p.ctx, ledger.Found{Runners: names})
	return err
}

func (p *process) openDoor(name string) {
	if p.doors[name] == nil {
		p.doors[name] = claim.Handler(claim.Config{Ledger: p.claims(), Forge: p.forge(), Log: quietLog}, name)
	}
}

// begin starts what is done again and again.
func (p *process) begin() {
	p.every(0, p.pace, func() error {
		_, err := p.joins.Ledger.Apply(p.ctx, ledger.Tick{})
		return err
	})
	often := func(d time.Duration) func() time.Duration { return func() time.Duration { return d } }
	p.every(time.Second, often(5*time.Minute), p.redeliver) // mayfly up: each minute
	p.every(2*time.Second, often(10*time.Minute), p.compareJobs)
	p.every(3*time.Second, often(20*time.Minute), p.removeRegistrations)
}

// every does do again and again while the process lives.
func (p *process) every(first time.Duration, then func() time.Duration, do func() error) {
	p.here(first, func() {
		if p.dead {
			return
		}
		do() // what goes wrong is tried again the next time
		p.every(then(), then, do)
	})
}

// pace is how often time passes for the ledger: each second in mayfly up, and here less often where it is waited for
// nothing that soon.
func (p *process) pace() time.Duration {
	if p.mirror == nil {
		return time.Second
	}
	busy := time.Minute
	for j := range p.mirror.Jobs() {
		if j.State == ledger.JobQueued {
			return 3 * time.Second
		}
	}
	for r := range p.mirror.Runners() {
		if r.State != ledger.RunnerBusy {
			return 5 * time.Second
		}
		busy = 20 * time.Second
	}
	return busy
}

func (p *process) redeliver() error {
	if p.broken == "nobody looks for what no delivery told" {
		return nil
	}
	return p.joins.Redeliver(p.ctx, redeliverable)
}

func (p *process) compareJobs() error {
	if p.broken == "nobody looks for what no delivery told" {
		return nil
	}
	return p.joins.CompareJobs(p.ctx)
}

func (p *process) removeRegistrations() error {
	next := p.wall().Add(-time.Hour)
	err := p.joins.RemoveRegistrations(p.ctx, p.strays)
	if err == nil {
		p.strays = next
	}
	return err
}

// receive is the webhook: a delivery comes in over the network.
func (p *process) receive(guid string, body []byte) int {
	if p == nil || p.dead {
		return http.StatusBadGateway
	}
	req := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(string(body)))
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": event.TypeWorkflowJob, "X-GitHub-Delivery": guid,
		"X-Hub-Signature-256": hook.Sign(hookKey.Reveal(), body),
	} {
		req.Header.Set(name, value)
	}
	answer := httptest.NewRecorder()
	p.hook.ServeHTTP(answer, req)
	if p.dead {
		return 0
	}
	return answer.Code
}

// pump has the bus deliver what is due, and comes back when something will be.
func (p *process) pump() {
	if p == nil || p.dead || p.pumping >= 3 || p.now < p.wakes {
		return
	}
	p.pumping++
	wait := p.bus.Step(p.ctx)
	p.pumping--
	if at := p.now + wait; !p.dead && wait < math.MaxInt64 && (at < p.woken || p.woken <= p.now) {
		p.woken = at
		p.here(wait, func() {}) // the bus is stepped after it
	}
}

// emit publishes what the ledger wants in the transaction in which it was decided.
func (p *process) emit(tx *disk.Tx, effects []ledger.Effect) error {
	for _, effect := range effects {
		e, err := pipeline.EventOf(effect, p.wall())
		if err != nil {
			return err
		}
		p.events++
		e.ID = fmt.Sprintf("event-%d-%d", p.process, p.events)
		if _, err := p.bus.PublishTx(tx, e); err != nil {
			return err
		}
	}
	return nil
}

func (p *process) observe(ctx context.Context, e event.Event) error {
	return p.joins.Observe(ctx, []event.Event{e})[0]
}

// launch is that of mayfly up.
func (p *process) launch(ctx context.Context, want ledger.WantRunner) error {
	starting, err := p.joins.Ledger.Apply(ctx, ledger.Starting{Runner: want.Runner})
	if err != nil || !starting.Granted {
		return err
	}
	name := string(want.Runner)
	if p.starting[name] {
		return nil
	}
	p.openDoor(name)
	p.starting[name] = true
	err = p.start(p, want)
	delete(p.starting, name)
	if p.dead {
		return errPower
	}
	if err != nil {
		delete(p.doors, name)
		return p.joins.Gone(ctx, ledger.Gone{Runner: want.Runner, Reason: "not started: " + err.Error(), Outside: true})
	}
	p.watching[name] = true
	_, err = p.joins.Ledger.Apply(ctx, ledger.Started{Runner: want.Runner})
	return err
}

// remove is the pipeline's.
func (p *process) remove(ctx context.Context, r ledger.RemoveRunner) error {
	if p.broken == "containers go before GitHub is asked" {
		if err := p.vanish(string(r.Runner)); err != nil {
			return err
		}
	}
	return p.joins.Remove(ctx, r)
}

func (p *process) vanish(name string) error {
	if err := p.stop(p, name); err != nil {
		return err
	}
	delete(p.doors, name)
	return nil
}

// exited is told that the container c has ended, by what watches it, and again until that is taken.
func (p *process) exited(c *container) {
	if p == nil || p.dead || !p.watching[c.name] { // the next process finds it
		return
	}
	gone := ledger.Gone{Runner: ledger.RunnerName(c.name), ExitCode: c.code, Reason: c.note}
	err := p.joins.Gone(p.ctx, gone)
	if err == nil {
		err = p.vanish(c.name)
	}
	if err != nil && !p.dead {
		p.here(time.Second, func() { p.exited(c) })
	}
}

// carry makes a target of what carries out an effect.
func carry[T ledger.Effect](out func(context.Context, T) error) bus.Target {
	return func(ctx context.Context, e event.Event) error {
		effect, err := pipeline.EffectOf[T](e)
		if err != nil {
			return err
		}
		return out(ctx, effect)
	}
}

// final makes a dead letter of what no repetition makes good.
func (p *process) final(target bus.Target) bus.Target {
	return func(ctx context.Context, e event.Event) error {
		err := target(ctx, e)
		if errors.Is(err, pipeline.ErrNotProcessable) || err != nil && p.broken == "nothing is tried again" {
			return bus.Permanent(err)
		}
		return err
	}
}
