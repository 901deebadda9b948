package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// policy lets a browser load what this page serves, and nothing else: no inline script or style, no
// other site, no frame around it.
//
// https://www.w3.org/TR/CSP3/
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded puts before next what keeps other sites out: the host that a browser asked for, which a
// site that points its own name at this machine cannot fake (DNS rebinding), the origin of what
// changes something, and then the login.
func (p *Page) guarded(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	inner := origin.Handler(p.identified(p.readers(next)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Vary", "Accept, Cookie")
		switch {
		case !p.hostAllowed(r.Host):
			http.Error(w, "this page does not answer to the name "+strings.ToValidUTF8(r.Host, "?")+": ask for its address, or name it in page.hosts of mayfly.yaml", http.StatusMisdirectedRequest)
		case p.config.Access.open() && forwarded(r):
			http.Error(w, "this page is for this machine only, and the request came through a proxy: set page.hosts and page.token, or page.proxy, in mayfly.yaml", http.StatusForbidden)
		case crossSite(r):
			http.Error(w, "another site asked for this page: open it by its address", http.StatusForbidden)
		default:
			inner.ServeHTTP(w, r)
		}
	})
}

// hostAllowed reports whether a browser may call the page so. An address is no name, so that no
// name server can point it elsewhere.
func (p *Page) hostAllowed(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	ip, err := netip.ParseAddr(name)
	switch {
	case err == nil:
		return !p.config.Access.open() || ip.Unmap().IsLoopback()
	case name == "localhost":
		return true
	}
	return slices.Contains(p.config.Access.Hosts, name)
}

// forwarded reports whether a proxy says that it passed r on.
func forwarded(r *http.Request) bool {
	return slices.ContainsFunc([]string{"X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-Ip", "Via"}, func(h string) bool { return r.Header.Get(h) != "" })
}

// crossSite reports whether another site's page asks, other than by a link that a person follows.
//
// https://www.w3.org/TR/fetch-metadata/
func crossSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	if site != "cross-site" && site != "same-site" {
		return false
	}
	return r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
}
