package config_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestWarm: where warm runners are, by what the file says of it.
func TestWarm(t *testing.T) {
	for name, c := range map[string]struct {
		github, webhook, warm string
		want                  pool.Warm
	}{
		"of the repository":     {"", "at: acme/web, ", "2", pool.Warm{Runners: 2, At: []string{"acme/web"}}},
		"of the organization":   {", runners_at: organization", "at: acme, ", "{runners: 2}", pool.Warm{Runners: 2, At: []string{"acme"}}},
		"of the enterprise":     {", runners_at: enterprises/big", "at: enterprises/big, ", "1", pool.Warm{Runners: 1, At: []string{""}}},
		"of other repositories": {"", "at: acme, ", "{runners: 1, at: [acme/web, acme/api]}", pool.Warm{Runners: 1, At: []string{"acme/web", "acme/api"}}},
		"none":                  {"", "at: acme/web, ", "0", pool.Warm{}},
	} {
		src := "github: {token: env:T" + c.github + "}\nwebhook: {" + c.webhook + "secrets: [env:S]}\npools: [{name: a, labels: [x], warm: " + c.warm + "}]\n"
		if diff := cmp.Diff(c.want, parse(t, src).PoolSet()[0].Warm); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestWarmSchedule(t *testing.T) {
	src := "github: {token: env:T}\nwebhook: {at: acme/web, secrets: [env:S]}\npools: [{name: a, labels: [x], warm: {schedule: [{at: 'Mon-Fri 08:00-18:00', zone: Europe/Berlin, runners: 5}]}}]\n"
	w := parse(t, src).PoolSet()[0].Warm
	if day := w.Wanted(time.Date(2026, 11, 30, 7, 30, 0, 0, time.UTC)); day != 5 {
		t.Errorf("%d on a Monday at 8:30 in Berlin, want 5", day)
	}
	if night := w.Wanted(time.Date(2026, 11, 30, 19, 0, 0, 0, time.UTC)); night != 0 {
		t.Errorf("%d in the evening, want 0", night)
	}
}
