package pool_test

import (
	"testing"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

func TestHostsTake(t *testing.T) {
	set := pool.Set{
		{Name: "small", Resources: pool.Resources{CPUs: 0.5, Memory: 1 << 30}},
		{Name: "large", Resources: pool.Resources{CPUs: 2, Memory: 6 << 30}},
		{Name: "arm", Resources: pool.Resources{CPUs: 4, Memory: 64 << 30}},
	}
	hosts := pool.Hosts{Pools: []string{"small", "large"}, Max: 2, Each: pool.Resources{CPUs: 2.5, Memory: 7 << 30}}
	for _, test := range []struct {
		hosts   pool.Hosts
		runners map[string]int
		want    bool
	}{
		{hosts, nil, true},
		{hosts, map[string]int{"small": 10}, true},
		{hosts, map[string]int{"small": 11}, false},
		{hosts, map[string]int{"large": 2, "small": 2}, true},
		{hosts, map[string]int{"large": 2, "small": 3}, false}, // half a processor is left of each, and no memory
		{hosts, map[string]int{"large": 3}, false},
		{hosts, map[string]int{"arm": 100}, true}, // on other hosts
		{pool.Hosts{Pools: []string{"arm"}, Max: 1}, map[string]int{"arm": 100}, true},
		{pool.Hosts{Pools: []string{"arm"}, Max: 9, Each: hosts.Each}, map[string]int{"arm": 1}, false},
	} {
		if got := test.hosts.Take(set, func(name string) int { return test.runners[name] }); got != test.want {
			t.Errorf("%+v take %v: %t", test.hosts, test.runners, got)
		}
	}
}
