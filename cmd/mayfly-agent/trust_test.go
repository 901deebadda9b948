package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// TestTrust: a runner's curl takes a server with a certificate of a CA that only the grant has, and goes on trusting
// those of its container.
func TestTrust(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is missing: scripts/setup test installs it")
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("trusted\n")) }))
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	script := listening + running + `curl -sS --max-time 20 ` + server.URL + ` || echo refused; grep -c BEGIN "${SSL_CERT_FILE:-/dev/null}"; env | grep -c mayfly-ca`
	for _, c := range []struct{ name, ca, want string }{{"without", "", "refused\n0\n0\n"}, {"with", ca, "trusted\n"}} {
		s := &side{ca: c.ca}
		socket, _ := open(t, t.TempDir(), s)
		_, wait := start(t, socket, script)
		out := wait().stdout
		if !strings.Contains(out, c.want) {
			t.Errorf("%s: %q, want %q in it", c.name, out, c.want)
		}
		if c.ca != "" && (strings.HasSuffix(out, "\n1\n6\n") || !strings.HasSuffix(out, "\n6\n")) {
			t.Errorf("%s: %q, want more certificates than that one, and six variables", c.name, out)
		}
	}
}
