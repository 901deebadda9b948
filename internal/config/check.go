package config

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// minKeep is how long GitHub may redeliver an event. Its id must be known for as long, or the
// redelivered event would count as new.
const minKeep = 72 * time.Hour

// check finds mistakes that are not malformed values: combinations, and rules that the tags cannot express.
func (c *Config) check(d *decoder) {
	if len(d.positions) < 2 {
		return // the file was not parsed, and that fault is reported
	}
	c.checkForge(d)
	if d.has("webhook") {
		c.checkWebhook(d)
	}
	if err := CheckListen(c.Listen); err != nil {
		d.faultAt("listen", "listen %v", err)
	}
	c.checkMetrics(d)
	c.checkPage(d)
	c.checkImage(d)
	c.checkMirror(d)
	c.checkSandbox(d)
	c.checkProxy(d)
	if keep := c.Archive.Keep; keep > 0 && keep < minKeep { // 0 means that a fault is reported already
		d.faultAt("archive.keep", "reading archive: keep %v: want %v or more, as long as GitHub redelivers", c.Archive.Keep, minKeep)
	}
	names := map[string]bool{}
	for i, r := range c.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		if d.has(at) {
			d.checkName(at, "rule", r.Name, names)
			d.checkRule(at, r)
		}
	}
	if len(c.Pools) == 0 && d.has("pools") {
		d.faultAt("pools", "pools is empty: want one at least")
	}
	names = map[string]bool{}
	for i, p := range c.Pools {
		at := fmt.Sprintf("pools[%d]", i)
		if d.has(at) {
			d.checkName(at, "pool", p.Name, names)
			d.checkPool(at, p)
			c.checkWarm(d, at, p)
			d.checkIsolation(at, p)
			d.checkSetup(at, p)
			c.checkMounts(d, at, p)
		}
	}
	if c.Platform == PlatformAWS {
		c.checkAWS(d)
	}
}

func (d *decoder) has(path string) bool { _, ok := d.positions[path]; return ok }

// CheckListen reports what is wrong with an address to listen at.
func CheckListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return fmt.Errorf("%q: want ADDRESS:PORT, such as 127.0.0.1:8080", address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q: port %s: want a number of 65535 at most", address, port)
	}
	return nil
}

func (c *Config) checkMetrics(d *decoder) {
	switch at := c.Metrics.Listen; {
	case at == "":
	case CheckListen(at) != nil:
		d.faultAt("metrics.listen", "reading metrics: listen %v", CheckListen(at))
	case at == c.Listen:
		d.faultAt("metrics.listen", "reading metrics: listen %q is the address for deliveries: choose another port, such as 127.0.0.1:9464", at)
	}
}

func (c *Config) checkImage(d *decoder) {
	for _, of := range []struct{ key, value, example string }{
		{"feed", c.Image.Feed, "https://api.github.com"}, {"downloads", c.Image.Downloads, "https://github.com/actions/runner/releases/download"},
	} {
		if u, err := url.Parse(of.value); of.value != "" && (err != nil || !isWeb(u)) {
			d.faultAt("image."+of.key, "reading image: %s %q: want an address, such as %s", of.key, of.value, of.example)
		}
	}
	for i, p := range c.Image.Packages { // https://www.debian.org/doc/debian-policy/ch-controlfields.html#source
		if !regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+)?$`).MatchString(p) {
			d.faultAt(fmt.Sprintf("image.packages[%d]", i), "reading image: packages %q: want the name of a package, such as libpq-dev or libpq-dev=16.4-1", p)
		}
	}
	owner, name, _ := strings.Cut(c.Image.Canary, "/")
	if c.Image.Canary != "" && !(isOwner(owner) && isRepository(name)) {
		d.faultAt("image.canary_repository", "reading image: canary_repository %q: want OWNER/REPOSITORY, such as acme/web", c.Image.Canary)
	}
}

func (c *Config) checkGitHub(d *decoder) {
	g := c.GitHub
	u, err := url.Parse(g.URL)
	switch {
	case err != nil, !isWeb(u), strings.Trim(u.Path, "/") != "" && strings.Trim(u.Path, "/") != "api/v3":
		d.faultAt("github.url", "reading github: url %q: want the address of GitHub, such as https://github.com", g.URL)
	case strings.Trim(u.Path, "/") != "":
		d.faultAt("github.url", "reading github: url %q: this is the API's: want the address for a browser, https://%s", g.URL, u.Host)
	case strings.HasPrefix(u.Host, "api.") && (u.Host == "api.github.com" || strings.HasSuffix(u.Host, ".ghe.com")):
		d.faultAt("github.url", "reading github: url %q: this is the API's: want the address for a browser, https://%s", g.URL, strings.TrimPrefix(u.Host, "api."))
	}
	switch app, token := d.has("github.app"), d.has("github.token"); {
	case app && token:
		d.faultAt("github.token", "reading github: token and app are both set: set only one of them")
	case !app && !token:
		d.faultAt("github", "reading github: neither app nor token is set: set one of them")
	}
	if g.RunnersAt == "repository" {
		for i, p := range c.Pools {
			if !pool.Group(p.RunnerGroup).Default() {
				d.faultAt(fmt.Sprintf("pools[%d].runner_group", i), "reading pool %q: runner_group %q: only organizations and enterprises have runner groups; set github.runners_at", p.Name, p.RunnerGroup)
			}
		}
	}
	level, slug, _ := strings.Cut(g.RunnersAt, "/")
	if !(g.RunnersAt == "repository" || g.RunnersAt == "organization" || level == "enterprises" && isOwner(slug)) {
		d.faultAt("github.runners_at", "reading github: runners_at %q: want repository, organization or enterprises/SLUG", g.RunnersAt)
	}
}

func (c *Config) checkWebhook(d *decoder) {
	w := c.Webhook
	if w.At != "" && !isPlace(w.At) {
		d.faultAt("webhook.at", "reading webhook: at %q: want app, an organization, OWNER/REPOSITORY or enterprises/SLUG", w.At)
	}
	if u, err := url.Parse(w.URL); w.URL != "" && (err != nil || !isWeb(u)) {
		d.faultAt("webhook.url", "reading webhook: url %q: want an address, such as https://mayfly.example.com/webhook", w.URL)
	}
	if d.has("webhook.events") && !slices.Contains(w.Events, "workflow_job") {
		d.faultAt("webhook.events", "reading webhook: events %s: without workflow_job no job would get a runner: add it", strings.Join(w.Events, ", "))
	}
	if n := len(w.Secrets); d.has("webhook.secrets") && (n == 0 || n > 2) {
		d.faultAt("webhook.secrets", "reading webhook: %d secrets: want one, or two during a rotation", n)
	}
}

// isWeb reports whether u is the address of a web server, without credentials.
func isWeb(u *url.URL) bool {
	return (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// isPlace reports whether a webhook can be at s.
func isPlace(s string) bool {
	owner, rest, two := strings.Cut(s, "/")
	return isOwner(owner) && (!two || isRepository(rest))
}

func isOwner(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isWord(r) && r != '-' && r != '_' })
}

func isRepository(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isWord(r) && r != '-' && r != '_' && r != '.' })
}

func isWord(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// checkName finds a name that is malformed or already in seen, and adds it.
func (d *decoder) checkName(at, kind, name string, seen map[string]bool) {
	switch {
	case name == "": // reported already
	case !regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`).MatchString(name):
		d.faultAt(at+".name", "%s name %q: want a-z, 0-9 and dashes between them, 32 at most", kind, name)
	case seen[name]:
		d.faultAt(at+".name", "duplicate %s name %q", kind, name)
	}
	seen[name] = true
}

// checkRule finds settings that the rule's target needs and does not have, or that only another target has.
func (d *decoder) checkRule(at string, r Rule) {
	in := fmt.Sprintf("reading rule %q: ", r.Name)
	for _, of := range []struct{ key, target string }{
		{"url", "http"}, {"secret", "http"}, {"command", "command"}, {"timeout", "http command"}, {"input", "http command"},
	} {
		if d.has(at+"."+of.key) && !strings.Contains(of.target, r.Target) {
			d.faultAt(at+"."+of.key, "%s%s is not for target %s, only for %s", in, of.key, r.Target, strings.ReplaceAll(of.target, " ", " and "))
		}
	}
	u, err := url.Parse(r.URL)
	switch {
	case r.Target == "http" && (err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil):
		d.faultAt(at+".url", "%surl %q: want an address, such as https://example.com/hook", in, redacted(u))
	case r.Target == "command" && (len(r.Command) == 0 || r.Command[0] == ""):
		d.faultAt(at+".command", "%scommand is empty: want a program and its arguments", in)
	}
	if _, err := r.Input.Transformer(); err != nil {
		d.faultAt(at+".input", "%sinput: %v", in, err)
	}
	if mayflyRule(r.Name) {
		d.faultAt(at+".name", "%sname %q: mayfly has a rule with that name: choose another one", in, r.Name)
	}
}

// redacted returns u without its password; "" for nil.
func redacted(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.Redacted()
}

// mayflyRule reports whether one of mayfly's own rules has this name.
func mayflyRule(name string) bool {
	return slices.Contains(event.OwnRules(), name)
}

func (d *decoder) checkPool(at string, p Pool) {
	in := fmt.Sprintf("reading pool %q: ", p.Name)
	if n := len(p.Labels); d.has(at+".labels") && (n == 0 || n > 100) {
		d.faultAt(at+".labels", "%s%d labels: want 1 to 100", in, n)
	}
	for i, l := range p.Labels {
		if l == "" || len(l) > 256 || strings.ContainsAny(l, ", \t\r\n") {
			d.faultAt(fmt.Sprintf("%s.labels[%d]", at, i), "%slabel %q: want a word without commas and spaces", in, l)
		}
	}
	for i, r := range p.Repositories {
		if _, err := path.Match(r, ""); err != nil || strings.Count(r, "/") != 1 {
			d.faultAt(fmt.Sprintf("%s.repositories[%d]", at, i), "%srepositories %q: want OWNER/REPOSITORY, such as acme/web or acme/*", in, r)
		}
	}
	if d.has(at+".command") && (len(p.Command) == 0 || p.Command[0] == "") {
		d.faultAt(at+".command", "%scommand is empty: want a program and its arguments", in)
	}
}
