package cli_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/cli"
)

func TestProgress(t *testing.T) {
	for _, c := range []struct {
		name string
		live bool
		want string
	}{
		{"terminal", true, "\r\x1b[K1 of 3\r\x1b[K2 of 3 \\nx\r\x1b[K3 of 3\r\x1b[K"},
		{"file", false, "1 of 3\n3 of 3\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
			p := (&cli.Screen{Err: &out, Live: c.live}).Progress(func() time.Time { return now })
			p.Set("%d of 3", 1)
			now = now.Add(4 * time.Second)
			p.Set("2 of 3 \nx")
			now = now.Add(time.Second)
			p.Set("3 of 3")
			p.End()
			p.End()
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
