package github

import "testing"

func TestParseAddress(t *testing.T) {
	tests := []struct{ in, web, api string }{
		{"", "https://github.com", "https://api.github.com/"},
		{"https://github.com/", "https://github.com", "https://api.github.com/"},
		{"https://www.GitHub.com", "https://github.com", "https://api.github.com/"},
		{"https://acme.ghe.com", "https://acme.ghe.com", "https://api.acme.ghe.com/"},
		{"https://github.acme.example", "https://github.acme.example", "https://github.acme.example/api/v3/"},
		{"https://github.acme.example:8443", "https://github.acme.example:8443", "https://github.acme.example:8443/api/v3/"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v3/"},
		{"http://localhost:8080", "http://localhost:8080", "http://localhost:8080/api/v3/"},
		{"http://[::1]:8080", "http://[::1]:8080", "http://[::1]:8080/api/v3/"},
	}
	for _, tt := range tests {
		if got, err := parseAddress(tt.in); err != nil || got != (address{tt.web, tt.api}) {
			t.Errorf("parseAddress(%q) = %v, %v, want %s, %s", tt.in, got, err, tt.web, tt.api)
		}
	}
	for _, bad := range []string{
		"github.com", "http://github.com", "http://10.0.0.1", "ftp://github.com", "https://u:p@github.com", "https://github.com/acme",
		"https://api.github.com", "https://api.acme.ghe.com", "https://x?y", "https://", "://",
	} {
		if got, err := parseAddress(bad); err == nil {
			t.Errorf("parseAddress(%q) = %v, want an error", bad, got)
		}
	}
}
