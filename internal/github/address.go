package github

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// An address is that of one GitHub, for people and for programs.
type address struct {
	web string // without a trailing slash
	api string // with a trailing slash
}

// parseAddress derives the API's address from the one for a browser:
//
//	https://github.com (or "")  https://api.github.com/
//	https://acme.ghe.com        https://api.acme.ghe.com/
//	https://github.acme.example https://github.acme.example/api/v3/
//	http://127.0.0.1:8080       http://127.0.0.1:8080/api/v3/
//
// The last one is githubsim. Plain HTTP is allowed only for loopback, because requests carry tokens.
// https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
func parseAddress(raw string) (address, error) {
	if raw == "" {
		raw = "https://github.com"
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return address{}, fmt.Errorf("GitHub address %q: want a scheme and a host only, such as https://github.com", raw)
	}
	host := strings.ToLower(u.Host)
	switch {
	case u.Scheme == "http" && !isLoopback(u.Hostname()), u.Scheme != "http" && u.Scheme != "https":
		return address{}, fmt.Errorf("GitHub address %q: want https, because requests carry tokens; http is allowed only for loopback", raw)
	case host == "github.com" || host == "www.github.com":
		return address{"https://github.com", "https://api.github.com/"}, nil
	case strings.HasPrefix(host, "api.") && (host == "api.github.com" || strings.HasSuffix(host, ".ghe.com")):
		return address{}, fmt.Errorf("GitHub address %q: want the address for a browser: https://%s", raw, strings.TrimPrefix(host, "api."))
	case strings.HasSuffix(host, ".ghe.com"):
		return address{"https://" + host, "https://api." + host + "/"}, nil
	}
	web := u.Scheme + "://" + host
	return address{web, web + "/api/v3/"}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
