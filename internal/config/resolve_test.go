package config_test

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/config"
)

// TestResolve gets secrets from variables and from files, relative to the file or not.
func TestResolve(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "old")
	write(t, filepath.Join(dir, "app.pem"), "-----BEGIN KEY-----\nx\n-----END KEY-----\r\n")
	write(t, elsewhere, "old secret\n")
	c, err := config.Parse(filepath.Join(dir, "mayfly.yaml"), []byte(`
github: {app: {id: 1, private_key: "file:app.pem"}}
webhook: {secrets: [env:NEW, "file:`+elsewhere+`"]}
pools: [{name: a, labels: [a]}]
rules:
- {name: a, pattern: {source: [a]}}
- {name: b, pattern: {source: [a]}, target: http, url: 'https://h/', secret: env:NEW}
`))
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Resolve(environment{"NEW": "new secret"}.lookup)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{s.AppKey.Reveal(), s.Token.Reveal(), s.Webhook[0].Reveal(), s.Webhook[1].Reveal(), s.Rules[0].Reveal(), s.Rules[1].Reveal()}
	want := []string{"-----BEGIN KEY-----\nx\n-----END KEY-----", "", "new secret", "old secret", "", "new secret"}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(s.Webhook) != 2 {
		t.Errorf("%q, want %q", got, want)
	}
	if text := fmt.Sprintf("%v %+v", s, s); strings.Contains(text, "secret\n") || strings.Contains(text, "BEGIN") {
		t.Errorf("printed: %s", text)
	}
}

func TestResolveFaults(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "empty"), "\n")
	write(t, filepath.Join(dir, "large"), strings.Repeat("x", 64<<10+1))
	path := filepath.Join(dir, "mayfly.yaml")
	for _, c := range []struct{ ref, want string }{
		{"env:GONE", "github.token env:GONE: the variable is not set"},
		{"env:EMPTY", "github.token env:EMPTY: the variable is not set"},
		{"file:gone", "github.token file:gone: no such file or directory"},
		{"file:empty", "github.token file:empty: the file is empty"},
		{"file:large", "github.token file:large: want a file of at most 65536 bytes"},
		{"file:.", "github.token file:.: want a file of at most 65536 bytes"},
	} {
		src := fmt.Sprintf("github: {token: %q}\nwebhook: {secrets: [env:GONE]}\npools: [{name: a, labels: [a]}]\n", c.ref)
		parsed, err := config.Parse(path, []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		_, err = parsed.Resolve(environment{"EMPTY": ""}.lookup)
		if err == nil {
			t.Errorf("%s: no error", c.ref)
			continue
		}
		for _, want := range []string{path + ":1:17: " + c.want, path + ":2:21: webhook.secrets[0] env:GONE: the variable is not set"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nwant %s", c.ref, err, want)
			}
		}
	}
}

func TestCA(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	dir := t.TempDir()
	path := filepath.Join(dir, "mayfly.yaml")
	for name, content := range map[string]string{"good": certificate, "several": "# of acme\n" + certificate + certificate, "key": "-----BEGIN RSA PRIVATE KEY-----\nAA==\n-----END RSA PRIVATE KEY-----\n", "empty": "", "large": strings.Repeat("x", 64<<10+1)} {
		write(t, filepath.Join(dir, name), content)
	}
	for name, want := range map[string]string{
		"good": "", "several": "", "key": "the file has no certificate", "empty": "the file has no certificate", "large": "at most 65536 bytes", "gone": "no such file", ".": "want a file",
	} {
		c, err := config.Parse(path, []byte("github: {ca_file: "+name+", token: env:T}\nwebhook: {secrets: [env:S]}\npools: [{name: a, labels: [a]}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.CA()
		switch {
		case want == "" && (err != nil || !strings.HasSuffix(string(got), certificate)):
			t.Errorf("%s: %q, %v", name, got, err)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), path+":1:19: github.ca_file "+name) || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	both := "ca_file: good\ngithub: {ca_file: good, token: env:T}\nwebhook: {secrets: [env:S]}\npools: [{name: a, labels: [a]}]\n"
	if c, err := config.Parse(path, []byte(both)); err != nil {
		t.Error(err)
	} else if got, err := c.CA(); err != nil || string(got) != certificate+certificate {
		t.Errorf("both: %q, %v", got, err)
	}
	if c, err := config.Parse(path, []byte(strings.Replace(both, "ca_file: good", "ca_file: gone", 1))); err != nil {
		t.Error(err)
	} else if _, err := c.CA(); err == nil || !strings.HasPrefix(err.Error(), path+":1:10: ca_file gone: no such file") {
		t.Errorf("one that is gone: %v", err)
	}
	if got, err := parse(t, good).CA(); got != nil || err != nil {
		t.Errorf("without ca_file: %q, %v", got, err)
	}
}

type environment map[string]string

func (e environment) lookup(name string) (string, bool) { v, ok := e[name]; return v, ok }

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTokenWithSpaces: what a paste leaves around a token is none of it.
func TestTokenWithSpaces(t *testing.T) {
	s, err := parse(t, good).Resolve(func(string) (string, bool) { return " ghp_x\r\n", true })
	if err != nil || s.Token.Reveal() != "ghp_x" {
		t.Errorf("%q, %v", s.Token.Reveal(), err)
	}
}
