package claim_test

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/claim"
)

// BenchmarkClaim is a runner's whole claim, without its ledger and forge: its
// socket is opened, it claims, and the socket is closed.
func BenchmarkClaim(b *testing.B) {
	sockets, err := claim.New(claim.Config{Dir: b.TempDir(), Ledger: &book{}, Forge: &hub{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	for i := range b.N {
		runner := fmt.Sprintf("r%d", i)
		folder, err := sockets.Open(runner)
		if err != nil {
			b.Fatal(err)
		}
		conn, err := dial(b.Context(), filepath.Join(folder, claim.SocketName))
		if err != nil {
			b.Fatal(err)
		}
		io.WriteString(conn, "POST /claim HTTP/1.1\r\nHost: claim\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		if answer, err := io.ReadAll(conn); err != nil || len(answer) == 0 {
			b.Fatalf("no answer: %v", err)
		}
		conn.Close()
		if err := sockets.Close(runner); err != nil {
			b.Fatal(err)
		}
	}
}
