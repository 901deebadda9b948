package config

import (
	"fmt"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Warm describes the runners of a pool that listen before there is a job.
type Warm struct {
	Runners  int          `yaml:"runners" min:"0" default:"0" short:"yes" doc:"How many runners listen before there is a job, at each place. warm: 2 is short for warm: {runners: 2}."`
	At       []string     `yaml:"at" doc:"The repositories or, with runners_at: organization, the organizations where they are registered. By default the one of webhook.at."`
	Schedule []WarmWindow `yaml:"schedule" doc:"Other numbers at some times of the week. The first window that is open counts."`
}

// WarmWindow is a number of warm runners for a time of the week.
type WarmWindow struct {
	At      string `yaml:"at" required:"yes" doc:"Days and hours, such as Mon-Fri 08:00-18:00."`
	Zone    string `yaml:"zone" doc:"Their time zone, such as Europe/Berlin. By default UTC."`
	Runners int    `yaml:"runners" required:"yes" min:"0" doc:"How many runners listen then."`
}

// most returns the largest number of warm runners that w asks for at each place.
func (w Warm) most() int {
	n := w.Runners
	for _, s := range w.Schedule {
		n = max(n, s.Runners)
	}
	return n
}

// warm returns p's warm runners for the ledger.
func (c *Config) warm(p Pool) pool.Warm {
	if p.Warm.most() == 0 {
		return pool.Warm{}
	}
	w := pool.Warm{Runners: p.Warm.Runners, At: c.warmPlaces(p.Warm)}
	for _, s := range p.Warm.Schedule {
		window, _ := pool.ParseWindow(s.At, s.Zone, s.Runners) // checked when it was read
		w.Windows = append(w.Windows, window)
	}
	return w
}

// warmPlaces returns where the runners of w are registered: at, or the place of the webhook if it
// is of the level of runners_at. The place of an enterprise is "", because there is only one. It
// returns nil if nothing names a place.
func (c *Config) warmPlaces(w Warm) []string {
	at := c.Webhook.At
	switch {
	case c.GitHub.ofEnterprise():
		return []string{""}
	case len(w.At) > 0:
		return w.At
	case at != "" && at != "app" && !strings.HasPrefix(at, "enterprises/") && strings.Contains(at, "/") == c.GitHub.ofRepository():
		return []string{at}
	}
	return nil
}

func (g GitHub) ofRepository() bool { return g.RunnersAt == "repository" }
func (g GitHub) ofEnterprise() bool { return strings.HasPrefix(g.RunnersAt, "enterprises/") }

// checkWarm finds mistakes in the warm runners of the pool whose path is at.
func (c *Config) checkWarm(d *decoder, at string, p Pool) {
	for i, s := range p.Warm.Schedule {
		if _, err := pool.ParseWindow(s.At, s.Zone, s.Runners); err != nil && s.At != "" {
			d.faultAt(fmt.Sprintf("%s.warm.schedule[%d]", at, i), "reading pool %q: warm.schedule: %v", p.Name, err)
		}
	}
	if p.Warm.most() == 0 {
		return
	}
	for i, place := range p.Warm.At {
		if !c.GitHub.ofEnterprise() && (!isPlace(place) || strings.Contains(place, "/") != c.GitHub.ofRepository()) {
			d.faultAt(fmt.Sprintf("%s.warm.at[%d]", at, i), "reading pool %q: warm.at %q: want %s, as runners_at is %s", p.Name, place, c.GitHub.placeWord(), c.GitHub.RunnersAt)
		} else if served := (pool.Pool{Repositories: p.Repositories}); c.GitHub.ofRepository() && !served.Allows(place) {
			d.faultAt(fmt.Sprintf("%s.warm.at[%d]", at, i), "reading pool %q: warm.at %q: the pool does not serve this repository: want one that its repositories allow", p.Name, place)
		}
	}
	switch {
	case c.Platform == PlatformAWS:
		d.faultAt(at+".warm", "reading pool %q: warm is not supported on AWS: use aws.hosts.min, which keeps hosts ready", p.Name)
	case d.has("github") && len(c.warmPlaces(p.Warm)) == 0:
		d.faultAt(at+".warm", "reading pool %q: warm without at: set %s", p.Name, c.GitHub.placeWord())
	}
}

func (g GitHub) placeWord() string {
	if g.ofRepository() {
		return "repositories, such as at: [acme/web]"
	}
	return "organizations, such as at: [acme]"
}

// warm warns of warm runners that do not fit, or whose settings have no effect.
func (l *linter) warm(i int) {
	p := l.config.Pools[i]
	n, at := p.Warm.most(), fmt.Sprintf("pools[%d].warm", i)
	all := n * len(l.config.warmPlaces(p.Warm))
	switch {
	case n == 0:
	case p.Max > 0 && all > p.Max:
		l.warn(at, "pool %q: %d warm runners are more than max %d", p.Name, all, p.Max)
	case l.host.CPUs != 0 && float64(all)*p.CPUs > l.host.CPUs, l.host.Memory != 0 && int64(all)*int64(p.Memory) > l.host.Memory:
		l.warn(at, "pool %q: %d warm runners hold %v CPUs and %v while they wait: runners may use %v and %v together",
			p.Name, all, float64(all)*p.CPUs, Bytes(int64(all)*int64(p.Memory)), l.host.CPUs, Bytes(l.host.Memory))
	}
	if len(p.Warm.At) > 0 && l.config.GitHub.ofEnterprise() {
		l.warn(at+".at", "pool %q: warm.at has no effect: the runners of an enterprise serve all of it", p.Name)
	}
}
