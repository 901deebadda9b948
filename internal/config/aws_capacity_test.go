package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

func TestStackHosts(t *testing.T) {
	const head = "platform: aws\ngithub: {token: env:T}\nwebhook: {at: acme, secrets: [env:S]}\n"
	const pools = "\npools:\n- {name: a, labels: [a]}\n- {name: b, labels: [b], aws: {architecture: arm64}}\n- {name: c, labels: [c]}\n"
	gib := func(n float64) int64 { return int64(0.93 * n * (1 << 30)) }
	for aws, want := range map[string][]pool.Hosts{
		"hosts: {max: 3, amd64_types: [m7i.xlarge, m7i.large]}": {
			{Pools: []string{"a", "c"}, Max: 3, Each: pool.Resources{CPUs: 2, Memory: gib(8)}},
			{Pools: []string{"b"}, Max: 3, Each: pool.Resources{CPUs: 2, Memory: gib(8)}},
		},
		"hosts: {amd64_types: [m7i.large, x2idn.metal]}": { // whose size is not known
			{Pools: []string{"b"}, Max: 10, Each: pool.Resources{CPUs: 2, Memory: gib(8)}},
		},
	} {
		c, err := config.Parse("mayfly.yaml", []byte(head+"aws: {"+aws+"}"+pools))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, c.StackHosts()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", aws, diff)
		}
	}
}
