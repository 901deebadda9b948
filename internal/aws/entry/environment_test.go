package entry

import (
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/aws/function"
	"github.com/mayfly-ci/mayfly/internal/github"
)

// TestForgeTrustsCA has a function call a GitHub whose certificate is of a CA of its own.
func TestForgeTrustsCA(t *testing.T) {
	hub := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer the-token" {
			t.Errorf("Authorization %q", r.Header.Get("Authorization"))
		}
		_, _ = io.WriteString(w, `{"total_count":0,"runners":[]}`)
	}))
	hub.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	hub.StartTLS()
	defer hub.Close()
	secrets := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, `{"SecretString":"the-token"}`)
	}))
	defer secrets.Close()
	env := map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": secrets.URL, contract.EnvAppSecret: "app"}
	getenv := func(name string) string { return env[name] }
	scope, err := github.ParseScope("acme/web")
	if err != nil {
		t.Fatal(err)
	}
	for ca, ok := range map[string]bool{"": false, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hub.Certificate().Raw})): true} {
		p := &environment{function.Place{
			Settings: contract.Settings{GitHub: contract.GitHub{URL: hub.URL, CA: ca}}, AWS: function.Config(getenv), Getenv: getenv, Log: slog.New(slog.DiscardHandler),
		}}
		forge, err := p.forge(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := forge.Runners(t.Context(), scope); (err == nil) != ok {
			t.Errorf("with the CA %t: %v", ok, err)
		}
	}
}

// TestUnknownHandler has functions of which the stack said something wrong.
func TestUnknownHandler(t *testing.T) {
	for name, want := range map[string]string{"": "want claim", contract.HandlerWebhook: `"webhook": want claim`} {
		p := function.Place{Getenv: func(string) string { return name }}
		if _, err := Open(t.Context(), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", name, err, want)
		}
	}
}
