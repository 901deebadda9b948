// Package simulation plays a stack on a simulated AWS in virtual time: the handlers, the rules and the rendered
// template are the real ones, the SDK's clients too; Lambda, EventBridge, SQS, DynamoDB, ECS and GitHub are simulated
// with their limits. All of it is in a bubble of testing/synctest, where an hour takes as long as its computing does.
//
// constants_test.go has the figures and their sources. It is no proof that AWS behaves so: docs/aws.md says what is assumed.
package simulation

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/contract"
)

// A scenario is what is played.
type scenario struct {
	name   string
	jobs   int
	over   time.Duration // in which the jobs are queued, evenly
	lasts  span          // each job
	hosts  int           // at most
	max    int           // of the pool; 0 for none
	orgs   int           // that the jobs are of, each with an installation of the App; 0 is one
	spot   bool          // hosts may be ended
	within time.Duration // all is over by then, or it is lost
	bad    bool          // more fails for nobody's fault, and deliveries are lost
	until  time.Duration // it is cut off then, and only the ledger is judged; 0 for not at all

	account int                     // concurrency; 0 is AWS's default
	plant   func(*awstest.Deployed) // changes the template: a fault
}

// A world is a stack, AWS around it, and GitHub.
type world struct {
	scenario
	t     testing.TB
	ctx   context.Context // ends with the world
	begun time.Time
	stack *awstest.Deployed
	work  sync.WaitGroup // all that goes on by itself

	mu     sync.Mutex // guards all below
	rand   *mathrand.Rand
	faults []string
	tally  tally

	lambda *lambdas
	bus    *bridge
	queues map[string]*queue // by logical id
	table  *table
	ecs    *cluster
	github *hub
}

// appKey is the App's: making one takes longer than a scenario.
var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// yaml is what a person wrote.
func (s scenario) yaml() string {
	at, pool := "org1", ""
	if s.orgs > 1 {
		at = "app"
	}
	if s.max > 0 {
		pool = fmt.Sprintf(", max: %d", s.max)
	}
	return fmt.Sprintf(`
platform: aws
github: {app: {id: 1234, private_key: "env:KEY"}, runners_at: organization}
webhook: {secrets: ["env:SECRET"], at: %s}
aws: {region: %s, stack: ci, hosts: {max: %d, spot: %t}}
pools:
  - {name: small, labels: [self-hosted, small], cpus: 0.5, memory: 1900MiB%s}
`, at, awstest.Region, s.hosts, s.spot, pool)
}

// play plays s in a world of its own, and returns that when all is over.
func play(t *testing.T, s scenario) (w *world) {
	appKey()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		w = newWorld(t, ctx, s)
		w.run()
		w.judge()
		cancel()
		w.work.Wait()
	})
	return w
}

func newWorld(t *testing.T, ctx context.Context, s scenario) *world {
	w := &world{
		scenario: s, t: t, ctx: ctx, begun: time.Now(), stack: awstest.Deploy(t, s.yaml()), rand: mathrand.New(mathrand.NewPCG(1, 2)),
		queues: map[string]*queue{},
	}
	if s.plant != nil {
		s.plant(w.stack)
	}
	w.orgs = max(w.orgs, 1)
	w.stack.Values["WebhookUrl.FunctionUrl"], w.stack.Values["ClaimUrl.FunctionUrl"] = hookURL, claimURL
	w.stack.Values["TaskRole.RoleId"] = "AROATASK"
	w.table, w.github = newTable(w), newHub(w)
	w.openQueues()
	w.lambda = openFunctions(w)
	w.ecs = openCluster(w)
	w.bus = openBridge(w)
	w.lambda.openMappings()
	return w
}

const (
	hookURL  = "https://hook.lambda-url.eu-west-1.on.aws/"
	claimURL = "https://claim.lambda-url.eu-west-1.on.aws/"
)

// settings are what lies beside the functions' program.
func (w *world) settings() contract.Settings {
	c := w.stack.Config
	return contract.Settings{
		Pools: c.PoolSet(), Hosts: c.StackHosts(), Events: c.Webhook.Events, MaxBody: int64(c.Webhook.MaxBody),
		GitHub: contract.GitHub{URL: c.GitHub.URL, AppID: c.GitHub.App.ID}, RunnersAt: c.GitHub.RunnersAt, HookAt: c.Webhook.At,
	}
}

// secret is the value of one in Secrets Manager.
func (w *world) secret(id string) string {
	if strings.Contains(id, "App") {
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(appKey())}))
	}
	return hookSecret
}

const hookSecret = "It's a Secret to Everybody"

// start has f go on by itself.
func (w *world) start(f func()) { w.work.Go(f) }

// after has f go on by itself in a while.
func (w *world) after(d time.Duration, f func()) {
	w.start(func() {
		if w.sleep(w.ctx, d) == nil {
			f()
		}
	})
}

// every calls f each period, until the world ends.
func (w *world) every(period time.Duration, f func()) {
	w.start(func() {
		for w.sleep(w.ctx, period) == nil {
			f()
		}
	})
}

func (w *world) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takes waits for as long as s takes this time.
func (w *world) takes(ctx context.Context, s span) error { return w.sleep(ctx, w.draw(s)) }

func (w *world) draw(s span) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rand.Float64()
	return s.from + time.Duration(r*r*r*float64(s.to-s.from))
}

// chance reports whether something happens that does with a probability.
func (w *world) chance(p float64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.Float64() < p
}

// weather is how often calls of AWS fail.
func (w *world) weather() float64 {
	if w.bad {
		return badWeather
	}
	return fairWeather
}

// fault notes what must not be.
func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faultLocked(format, args...)
}

func (w *world) faultLocked(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf("%v: %s", time.Since(w.begun).Round(time.Second), fmt.Sprintf(format, args...)))
}

// run queues the jobs, and waits until all is over and quiet.
func (w *world) run() {
	pause := w.over / time.Duration(w.jobs)
	for i := range w.jobs {
		w.github.push(i)
		if w.sleep(w.ctx, pause) != nil {
			return
		}
	}
	if w.until > 0 {
		_ = w.sleep(w.ctx, w.until-time.Since(w.begun))
		return
	}
	for w.github.open() > 0 && time.Since(w.begun) < w.within {
		if w.sleep(w.ctx, time.Second) != nil {
			return
		}
	}
	_ = w.sleep(w.ctx, quiet)
}

// quiet is how long after the last job everything must be gone: longer than the ledger's deadlines.
const quiet = 10 * time.Minute
