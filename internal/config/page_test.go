package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/config"
)

// TestPageFaults: a page that others reach has a login, and what it has is well-formed.
func TestPageFaults(t *testing.T) {
	for _, c := range []struct{ page, want string }{
		{"{listen: none}", ""},
		{"{listen: '0.0.0.0:80', token: 'env:T'}", ""},
		{"{listen: '[::1]:80'}", ""},
		{"{hosts: [ci.example.com], token: 'env:T'}", ""},
		{"{hosts: [ci.example.com], proxy: {header: X-User, from: [10.0.0.0/8, '::1']}}", ""},
		{"{listen: '0.0.0.0:80'}", "nobody can log in"},
		{"{listen: ':80'}", "nobody can log in"},
		{"{hosts: [ci.example.com]}", "nobody can log in"},
		{"{hosts: ['https://ci.example.com'], token: 'env:T'}", `host "https://ci.example.com": want a name`},
		{"{listen: loopback}", `listen "loopback": want ADDRESS:PORT`},
		{"{listen: '127.0.0.1:8080'}", "deliveries come there"},
		{"{proxy: {header: X-User}}", "one of proxy.header and proxy.from"},
		{"{proxy: {header: 'X User', from: [127.0.0.1]}}", `header "X User"`},
		{"{proxy: {header: X-User, from: [proxy]}}", `from "proxy": want an address`},
		{"{token: hunter2}", "secrets are not written in this file"},
	} {
		_, err := config.Parse("m.yaml", []byte(good+"page: "+c.page+"\n"))
		var faults config.Faults
		switch {
		case c.want == "" && err != nil, c.want != "" && (!errors.As(err, &faults) || len(faults) != 1 || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want one fault with %q", c.page, err, c.want)
		}
	}
}

// TestPageToken: a token that can be guessed is refused, and not told.
func TestPageToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mayfly.yaml")
	if err := os.WriteFile(path, []byte(good+"page: {token: env:T}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for value, good := range map[string]bool{"0123456789abcdef": true, "0123456789abcde": false, "": false} {
		token, err := c.ResolvePage(func(string) (string, bool) { return value, value != "" })
		if (err == nil) != good || good && token.Reveal() != value || value != "" && err != nil && strings.Contains(err.Error(), value) {
			t.Errorf("%q: %v", value, err)
		}
	}
}
