package pool_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

var set = pool.Set{
	{Name: "web", Labels: []string{"self-hosted", "linux", "x64"}, Repositories: []string{"acme/web", "Acme/web-*"}},
	{Name: "small", Labels: []string{"self-hosted", "Linux", "X64"}},
	{Name: "gpu", Labels: []string{"self-hosted", "linux", "x64", "gpu"}, Repositories: []string{"acme/*"}},
	{Name: "late", Labels: []string{"self-hosted", "linux", "x64", "late"}},
	{Name: "bare"},
}

func TestRoute(t *testing.T) {
	for _, c := range []struct {
		labels, repository, want string
	}{
		{"self-hosted,linux", "acme/api", "small"},
		{"linux", "acme/api", "small"},
		{"SELF-HOSTED,LINUX", "acme/api", "small"},
		{"linux,linux", "acme/api", "small"},
		{"linux", "acme/web", "web"},
		{"linux", "ACME/Web", "web"},
		{"linux", "acme/web-shop", "web"},
		{"linux", "acme/website", "small"},
		{"linux", "umbrella/acme/web", "small"},
		{"gpu", "acme/api", "gpu"},
		{"gpu,x64", "acme/web", "gpu"},
		{"gpu", "umbrella/api", ""},
		{"late,linux", "umbrella/api", "late"},
		{"late,gpu", "acme/api", ""},
		{"linux,arm64", "acme/api", ""},
		{"linux ", "acme/api", ""},
		{"", "acme/api", ""},
	} {
		job := event.WorkflowJob{Repository: c.repository}
		if c.labels != "" {
			job.Labels = strings.Split(c.labels, ",")
		}
		got, ok := set.Route(job)
		if got.Name != c.want || ok != (c.want != "") {
			t.Errorf("a job of %s with labels %q goes to pool %q (%v), want %q", c.repository, c.labels, got.Name, ok, c.want)
		}
	}
}

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		patterns   []string
		repository string
		want       bool
	}{
		{nil, "acme/web", true},
		{[]string{"acme/web"}, "acme/web", true},
		{[]string{"acme/web"}, "acme/web2", false},
		{[]string{"*/*"}, "acme/web", true},
		{[]string{"*"}, "acme/web", false},
		{[]string{"acme/*"}, "acme2/web", false},
		{[]string{"acme/[wW]eb"}, "acme/WEB", true},
		{[]string{"umbrella/*", "acme/?eb"}, "acme/web", true},
		{[]string{"acme/["}, "acme/web", false}, // broken patterns allow nothing
		{[]string{""}, "acme/web", false},
	} {
		if got := (pool.Pool{Repositories: c.patterns}).Allows(c.repository); got != c.want {
			t.Errorf("%q allow %s: %v, want %v", c.patterns, c.repository, got, c.want)
		}
	}
}

func TestFind(t *testing.T) {
	if p, ok := set.Find("gpu"); !ok || p.Name != "gpu" {
		t.Errorf("gpu: %+v, %v", p, ok)
	}
	if p, ok := set.Find("GPU"); ok {
		t.Errorf("GPU: %+v: want none, names have a case", p)
	}
}

// TestRouteIsFirstThatFits: the pool that gets a job fits it, none before it does,
// and neither case nor order of the labels matters.
func TestRouteIsFirstThatFits(t *testing.T) {
	label := rapid.SampledFrom([]string{"linux", "x64", "gpu", "big"})
	labels := rapid.SliceOfN(label, 0, 4)
	owner := rapid.SampledFrom([]string{"acme", "umbrella"})
	rapid.Check(t, func(t *rapid.T) {
		var pools pool.Set
		for i := range rapid.IntRange(0, 5).Draw(t, "pools") {
			p := pool.Pool{Name: fmt.Sprint(i), Labels: labels.Draw(t, "has")}
			if rapid.Bool().Draw(t, "limited") {
				p.Repositories = []string{owner.Draw(t, "for") + "/*"}
			}
			pools = append(pools, p)
		}
		job := event.WorkflowJob{Repository: owner.Draw(t, "owner") + "/web", Labels: labels.Draw(t, "wants")}
		want := ""
		for i := len(pools) - 1; i >= 0; i-- {
			if fits(pools[i], job) {
				want = pools[i].Name
			}
		}
		shuffled := job
		shuffled.Labels = rapid.Permutation(job.Labels).Draw(t, "shuffled")
		for i, l := range shuffled.Labels {
			shuffled.Labels[i] = strings.ToUpper(l)
		}
		for _, j := range []event.WorkflowJob{job, shuffled} {
			if got, ok := pools.Route(j); got.Name != want || ok != (want != "") {
				t.Errorf("%v of %+v: pool %q, want %q", j.Labels, pools, got.Name, want)
			}
		}
	})
}

// fits says by counting what Takes and Allows say by searching.
func fits(p pool.Pool, job event.WorkflowJob) bool {
	has := map[string]bool{}
	for _, l := range p.Labels {
		has[l] = true
	}
	missing := 0
	for _, l := range job.Labels {
		if !has[l] {
			missing++
		}
	}
	owner, _, _ := strings.Cut(job.Repository, "/")
	return len(job.Labels) > 0 && missing == 0 && (p.Repositories == nil || p.Repositories[0] == owner+"/*")
}

func TestResources(t *testing.T) {
	two, four := pool.Resources{CPUs: 2, Memory: 2 << 30}, pool.Resources{CPUs: 4, Memory: 4 << 30}
	if got := two.Plus(two); got != four {
		t.Errorf("%v + %v = %v, want %v", two, two, got, four)
	}
	for _, c := range []struct {
		need, limit pool.Resources
		want        bool
	}{
		{two, two, true},
		{two, four, true},
		{four, two, false},
		{four, pool.Resources{}, true},
		{four, pool.Resources{CPUs: 2}, false},
		{four, pool.Resources{CPUs: 4}, true},
		{four, pool.Resources{Memory: 2 << 30}, false},
		{pool.Resources{CPUs: 1, Memory: 8 << 30}, four, false},
		{pool.Resources{CPUs: 8, Memory: 1 << 30}, four, false},
	} {
		if got := c.need.Fits(c.limit); got != c.want {
			t.Errorf("%+v fits %+v: %v, want %v", c.need, c.limit, got, c.want)
		}
	}
}

func TestWithDefaults(t *testing.T) {
	want := pool.Pool{
		Resources: pool.Resources{CPUs: 2, Memory: 4 << 30}, PIDs: 4096, Network: pool.NetworkOwn, RunnerGroup: "1",
		Command: []string{"/home/runner/run.sh"}, IdleLimit: 5 * time.Minute, TotalLimit: 390 * time.Minute,
		Isolation: pool.Isolation{Privileges: pool.Strict},
		Setup:     pool.Setup{SharedMemory: 2 << 30},
	}
	if diff := cmp.Diff(want, pool.Pool{}.WithDefaults()); diff != "" {
		t.Error(diff)
	}
	if got := (pool.Pool{Resources: pool.Resources{Memory: 1 << 30}}).WithDefaults().Setup.SharedMemory; got != 512<<20 {
		t.Errorf("shared memory of a pool with 1 GiB: %d, want half of it", got)
	}
	said := pool.Pool{
		Name: "a", Labels: []string{"b"}, Repositories: []string{"c/d"}, Max: 1, Resources: pool.Resources{CPUs: 2.5, Memory: 6},
		PIDs: 7, Image: "i", Command: []string{"j"}, Network: pool.NetworkNone, ReadOnlyRoot: true, RunnerGroup: "8",
		IdleLimit: 9, TotalLimit: 10, Setup: pool.Setup{SharedMemory: 11},
		Isolation: pool.Isolation{Privileges: pool.Sudo, Runtime: "runsc", Docker: pool.Docker{Engine: true, Disk: 11, Mirror: "m"}},
	}
	if diff := cmp.Diff(said, said.WithDefaults()); diff != "" {
		t.Error("what is said was changed:", diff)
	}
}

// BenchmarkRoute routes a job past 20 pools that do not take it.
func BenchmarkRoute(b *testing.B) {
	var pools pool.Set
	for i := range 20 {
		pools = append(pools, pool.Pool{Labels: []string{"self-hosted", "linux", "x64", fmt.Sprint("kind-", i)}, Repositories: []string{"acme/*"}})
	}
	job := event.WorkflowJob{Repository: "acme/web", Labels: []string{"self-hosted", "linux", "kind-19"}}
	for b.Loop() {
		if _, ok := pools.Route(job); !ok {
			b.Fatal("no pool")
		}
	}
}
