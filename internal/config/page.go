package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Page is the page that mayfly up serves.
type Page struct {
	Listen string    `yaml:"listen" default:"127.0.0.1:8081" doc:"Address and port of the page, or none. On loopback anyone on this machine can read it; elsewhere, with hosts or proxy, and if a pool has network: host, readers log in."`
	Hosts  []string  `yaml:"hosts" doc:"Names by which browsers reach the page, such as mayfly.example.com. It answers to no other name; with names, everyone logs in, because a proxy on this machine comes from loopback, too."`
	Token  SecretRef `yaml:"token" doc:"The token to log in with, of 16 characters or more (openssl rand -hex 32). Actions, such as a retry or a rollback, need it everywhere; without it the page only shows."`
	Proxy  PageProxy `yaml:"proxy" doc:"A reverse proxy that logs readers in. Actions still need token."`
}

// PageProxy is a reverse proxy that says who reads.
type PageProxy struct {
	Header string   `yaml:"header" doc:"The header in which the proxy names the person, such as X-Forwarded-User. The proxy must remove it from what browsers send."`
	From   []string `yaml:"from" doc:"The addresses from which the header counts, such as 127.0.0.1 or 10.0.0.0/24."`
}

// PageOff is the listen of a page that nobody serves.
const PageOff = "none"

// minToken is how many characters the page's token has at least: whoever guesses it can act.
const minToken = 16

// Networks returns the addresses that the header counts from.
func (p PageProxy) Networks() (all []netip.Prefix, err error) {
	for _, from := range p.From {
		n, err := netip.ParsePrefix(from)
		if err != nil {
			a, err := netip.ParseAddr(from)
			if err != nil {
				return nil, fmt.Errorf("%q: want an address or a network, such as 127.0.0.1 or 10.0.0.0/24", from)
			}
			n = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		all = append(all, n.Masked())
	}
	return all, nil
}

// Loopback reports whether only this machine reaches an address to listen at.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && isLoopback(host)
}

func (c *Config) checkPage(d *decoder) {
	p := c.Page
	if err := CheckListen(p.Listen); err != nil && p.Listen != PageOff {
		d.faultAt("page.listen", "reading page: listen %v; or none", err)
	}
	if d.has("page.listen") && p.Listen == c.Listen && !strings.HasSuffix(p.Listen, ":0") {
		d.faultAt("page.listen", "reading page: listen %q: deliveries come there: want another port", p.Listen)
	}
	for i, h := range p.Hosts {
		if !regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`).MatchString(h) {
			d.faultAt(fmt.Sprintf("page.hosts[%d]", i), "reading page: host %q: want a name in lower case without scheme and port, such as mayfly.example.com", h)
		}
	}
	switch header := p.Proxy.Header; {
	case (header == "") != (len(p.Proxy.From) == 0):
		d.faultAt("page.proxy", "reading page: one of proxy.header and proxy.from without the other: want both")
	case header != "" && !regexp.MustCompile(`^[A-Za-z0-9-]+$`).MatchString(header):
		d.faultAt("page.proxy.header", "reading page: header %q: want the name of a header, such as X-Forwarded-User", header)
	}
	if _, err := p.Proxy.Networks(); err != nil {
		d.faultAt("page.proxy.from", "reading page: from %v", err)
	}
	if login := p.Token != "" || p.Proxy.Header != ""; !login && (len(p.Hosts) > 0 || p.Listen != PageOff && CheckListen(p.Listen) == nil && !Loopback(p.Listen)) {
		d.faultAt("page", "reading page: others than this machine can reach it, and nobody can log in: want page.token or page.proxy")
	}
}

// pageToken gets the page's token, which must be long enough.
func (r *resolver) pageToken() (s string) {
	ref := r.config.Page.Token
	s = strings.TrimSpace(r.get("page.token", ref).Reveal())
	if n := utf8.RuneCountInString(s); n > 0 && n < minToken {
		r.found = append(r.found, r.config.FaultAt("page.token", "page.token %s: %d characters: want %d or more, such as openssl rand -hex 32 prints", ref, n, minToken)...)
	}
	return s
}
