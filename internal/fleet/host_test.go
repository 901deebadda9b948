package fleet

import (
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/fleet/cgroup"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

func TestHostIsWithinItsLimits(t *testing.T) {
	host := pool.Resources{CPUs: 8, Memory: 1 << 30}
	tests := map[string]struct {
		limits cgroup.Limits
		want   pool.Resources
	}{
		"no limits":     {cgroup.Limits{}, host},
		"smaller":       {cgroup.Limits{CPUs: 1.5, Memory: 5}, pool.Resources{CPUs: 1.5, Memory: 5}},
		"larger limits": {cgroup.Limits{CPUs: 64, Memory: 1 << 40}, host},
	}
	for name, tt := range tests {
		if got := within(host, tt.limits); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestHost(t *testing.T) {
	host, err := Host()
	if err != nil || host.CPUs <= 0 || host.Memory < 1<<20 {
		t.Errorf("Host() = %v, %v", host, err)
	}
	if n, err := parseMemTotal(strings.NewReader("MemFree: 1 kB\nMemTotal:       25276510 kB\n")); n != 25276510<<10 || err != nil {
		t.Errorf("parseMemTotal = %d, %v", n, err)
	}
	if _, err := parseMemTotal(strings.NewReader("MemFree: 1 kB\n")); err == nil {
		t.Error("no error for a meminfo without MemTotal")
	}
}
