package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestOwnHosts: a pool with hosts of its own neither takes those of others nor gives them its own, and a pool
// with GPUs has one runner a host at least.
func TestOwnHosts(t *testing.T) {
	c := parse(t, onAWS("hosts: {max: 7}", "")+
		"  - {name: large, labels: [l], cpus: 8, memory: 28GiB, aws: {hosts: {types: [c7i.4xlarge], max: 2}}}\n"+
		"  - {name: any, labels: [a], aws: {hosts: {vcpus: 4, memory: 8GiB}}}\n"+
		"  - {name: gpu, labels: [g], cpus: 4, memory: 14GiB, aws: {hosts: {types: [g6.xlarge], gpus: 1, max: 3}}}\n")
	got := map[string]pool.Hosts{}
	for _, h := range c.StackHosts() {
		got[h.Pools[0]] = h
		if len(h.Pools) != 1 {
			t.Errorf("%+v: want one pool", h)
		}
	}
	each := map[string]pool.Resources{
		"large": {CPUs: 16, Memory: 31954311680}, "any": {CPUs: 4, Memory: 7988577894}, "gpu": {CPUs: 4, Memory: 14 << 30},
	}
	most := map[string]int{c.Pools[0].Name: 7, "large": 2, "any": 7, "gpu": 3}
	for name, max := range most {
		if got[name].Max != max {
			t.Errorf("%s: %+v, want %d hosts at most", name, got[name], max)
		}
	}
	for name, want := range each {
		h := got[name].Each
		if diff := cmp.Diff(want.CPUs, h.CPUs); diff != "" || h.Memory < want.Memory*99/100 || h.Memory > want.Memory*101/100 {
			t.Errorf("%s: %+v a host, want about %+v", name, h, want)
		}
	}
}
