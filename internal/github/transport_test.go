package github_test

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// TestCA has a server whose certificate no CA of the system has made: it is trusted with the CA's
// certificate, and without there is a hint.
func TestCA(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("%s: want HTTP/2, as without a CA", r.Proto)
		}
		reply(w, 200, map[string]any{"total_count": 0, "runners": []any{}})
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	server.StartTLS()
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	list := func(ca []byte) error {
		t.Helper()
		c, err := github.New(github.Config{URL: server.URL, CA: ca, Token: secret.New(testToken), Backoff: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Runners(t.Context(), scope(t, "acme/web"))
		return err
	}
	if err := list(ca); err != nil {
		t.Errorf("with the CA: %v", err)
	}
	var failed *github.Error
	if err := list(nil); !errors.As(err, &failed) || !errors.Is(err, github.ErrUnavailable) || !strings.Contains(failed.Hint(), "github.ca_file") {
		t.Errorf("without: %v, want ErrUnavailable and a hint", err)
	}
	if _, err := github.New(github.Config{CA: []byte("none"), Token: secret.New(testToken)}); err == nil || !strings.Contains(err.Error(), "no certificate found") {
		t.Errorf("what is no certificate: %v", err)
	}
}
