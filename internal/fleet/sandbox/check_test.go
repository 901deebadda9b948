package sandbox

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestCheck: what the sandbox has not is refused, by the key of the setting.
func TestCheck(t *testing.T) {
	for key, p := range map[string]pool.Pool{
		"":          {Setup: pool.Setup{Mounts: []pool.Mount{{Source: "/srv", Target: "/opt/srv"}}, Ulimits: map[string]pool.Ulimit{"core": {}}}},
		"network":   {Network: pool.NetworkOwn},
		"dns":       {Setup: pool.Setup{DNS: []string{"10.0.0.2"}}},
		"mounts[1]": {Setup: pool.Setup{Mounts: []pool.Mount{{Source: "/srv", Target: "/opt/srv"}, {Source: "volume", Target: "/opt/v"}}}},
		"mounts[0]": {Setup: pool.Setup{Mounts: []pool.Mount{{Source: "/srv", Target: "/usr/local/tools"}}}},
		"ulimits":   {Setup: pool.Setup{Ulimits: map[string]pool.Ulimit{"nofile": {Soft: 1, Hard: 1 << 40}}}},
	} {
		if p.Network == "" {
			p.Network = pool.NetworkNone
		}
		err, no := Check(p), (*fleet.Refusal)(nil)
		if (err == nil) != (key == "") || err != nil && (!errors.As(err, &no) || no.Key != key || no.Hint == "" || !errors.Is(err, fleet.ErrUnsupported)) {
			t.Errorf("%+v: %v, want a refusal of %q", p, err, key)
		}
	}
}

// TestShowsSystem: set-up actions find out which system this is, and what time it is here.
func TestShowsSystem(t *testing.T) {
	s := subject(t)
	l, seen := s.New(t), ""
	for _, file := range []string{"/etc/os-release", "/etc/lsb-release", "/etc/localtime", "/etc/timezone"} {
		if _, err := os.Stat(file); err == nil {
			seen += file + "\n"
		}
	}
	r := s.NewRunner(t, `for f in os-release lsb-release localtime timezone; do test -s /etc/$f && echo /etc/$f; done`)
	r.Start(t, l)
	if got := r.Rest(t); got != seen || !strings.Contains(got, "os-release") {
		t.Errorf("%q, want what this machine has, %q", got, seen)
	}
}
