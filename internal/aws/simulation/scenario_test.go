package simulation

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/racetest"
)

var short = span{30 * time.Second, 4 * time.Minute} // jobs, most of a minute

// burst is so many jobs queued in ten seconds.
func burst(jobs int) scenario {
	return scenario{name: fmt.Sprintf("%d at once", jobs), jobs: jobs, over: 10 * time.Second, lasts: short, hosts: min(max(jobs/8, 10), 250), within: 6 * time.Hour}
}

// steady is so many jobs a minute, for a while. One installation of the App may make 15,000 calls an hour, and register
// 300 runners in a minute: a thousand jobs a minute are of eight organizations.
func steady(perMinute int, lasts time.Duration) scenario {
	return scenario{
		name: fmt.Sprintf("%d a minute", perMinute), jobs: perMinute * int(lasts/time.Minute), over: lasts, lasts: short,
		hosts: max(perMinute, 20), orgs: max(1, perMinute/125), within: lasts + 3*time.Hour,
	}
}

// few is how many jobs a test has.
var few = racetest.Fewer(60, 16)

// TestBurst queues jobs faster than hosts come: all is recorded at once and nothing lost, doubled or left.
func TestBurst(t *testing.T) { expect(t, burst(few)) }

// TestSteady has jobs come for a while, and spot hosts end.
func TestSteady(t *testing.T) {
	s := steady(few/4, 10*time.Minute)
	s.spot = true
	expect(t, s)
}

// TestFull has more jobs come than the pool, its hosts or ECS's quota take.
func TestFull(t *testing.T) {
	s := burst(few)
	s.hosts, s.max = 3, 10
	expect(t, s)
}

// expect plays s, and shows what must not be.
func expect(t *testing.T, s scenario) {
	t.Helper()
	w := play(t, s)
	t.Log("\n" + figures(w) + w.counts())
	for _, f := range w.faults {
		t.Error(f)
	}
}

// TestTable prints what docs/aws.md has. MAYFLY_BENCH_AWS says which scenarios, joined by commas, such as "1000 at once,100 a minute".
func TestTable(t *testing.T) {
	names := os.Getenv("MAYFLY_BENCH_AWS")
	if names == "" {
		t.Skip("make bench-aws")
	}
	var played []*world
	for name := range strings.SplitSeq(names, ",") {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			w := play(t, named(t, name))
			played = append(played, w)
			t.Logf("took %v\n%s%s", time.Since(begun).Round(time.Second), figures(w), w.counts())
			for _, f := range w.faults {
				t.Error(f)
			}
		})
	}
	t.Log("\n" + figures(played...))
}

// named returns the scenario of a name.
func named(t *testing.T, name string) scenario {
	t.Helper()
	var n int
	var kind string
	if _, err := fmt.Sscanf(name, "%d %s", &n, &kind); err != nil || n < 1 {
		t.Fatalf("scenario %q: want \"N at once\" or \"N a minute\"", name)
	}
	if kind == "at" {
		return burst(n)
	}
	return steady(n, 10*time.Minute)
}

// counts are the tally and those of the functions, to look closer.
func (w *world) counts() string {
	var b strings.Builder
	short := w.tally
	short.answers = nil
	fmt.Fprintf(&b, "%+v\n", short)
	for _, name := range []string{contract.HandlerWebhook, contract.HandlerLedger, contract.HandlerClaim, contract.HandlerSweep} {
		f := w.by(name)
		fmt.Fprintf(&b, "%s: %d at once, %+v\n", name, f.peak, f.counts)
	}
	return b.String()
}

// figures are the figures of worlds, a line each.
func figures(worlds ...*world) string {
	var b strings.Builder
	out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "jobs\trecorded\tstart p50\tp99\tledger at once\tall at once\ttries/commit\tstarts/job\tGitHub calls/job\trefused\twebhook p99\t$/1,000\thosts $/1,000\t")
	for _, w := range worlds {
		starts, answers := w.starts(), ordered(w.tally.answers)
		fmt.Fprintf(out, "%s\t%v\t%v\t%v\t%d\t%d\t%.2f\t%.2f\t%.2f\t%d\t%v\t%.2f\t%.2f\t\n",
			w.name, w.allRecorded().Round(100*ms), at(starts, .5).Round(time.Second), at(starts, .99).Round(time.Second),
			w.by(contract.HandlerLedger).peak, w.lambda.peak, float64(w.tally.tries)/float64(max(w.tally.commits, 1)), w.perJob(w.tally.started),
			w.perJob(w.tally.githubCalls), w.tally.githubRefused, at(answers, .99), w.tally.dollars, w.tally.hostDollars)
	}
	_ = out.Flush() // a strings.Builder takes everything
	return b.String()
}
