package claim_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// TestFlood has a job claim in a loop, which wrote 170,000 lines of the log in 6 s once: a few
// lines come of it, and the socket is closed.
func TestFlood(t *testing.T) {
	var log bytes.Buffer
	sockets, err := claim.New(claim.Config{Dir: t.TempDir(), Ledger: &book{}, Forge: &hub{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := sockets.Open("r1")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, claim.SocketName)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, socket)
	}}}
	answered := 0
	for range 5000 {
		res, err := client.Post("http://claim"+claim.PathClaim, "application/json", strings.NewReader("{}"))
		if err != nil {
			break
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		answered++
	}
	if answered < 150 || answered > 400 {
		t.Errorf("%d calls were answered, want some 200", answered)
	}
	if _, err := dial(t.Context(), socket); err == nil {
		t.Error("the socket is still open")
	}
	if err := sockets.Close("r1"); err != nil {
		t.Error(err)
	}
	if lines := strings.Count(log.String(), "\n"); lines > 30 {
		t.Errorf("%d lines of log, want at most 30", lines)
	}
	for _, want := range []string{"the job floods it with calls", "lines on the calls of this runner were suppressed"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}

// TestPatientAgent makes the calls of an agent that everything is put off for, for a day.
func TestPatientAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shut := false
		handler := claim.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), func() { shut = true })
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end) && !shut; time.Sleep(time.Second) {
			handler.ServeHTTP(nil, nil)
		}
		if shut {
			t.Error("an agent that calls once a second lost its socket")
		}
	})
}
