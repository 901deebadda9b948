package disk_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/disk"
)

// writeForever is what the killed process does: it writes from 8 goroutines and
// prints the key of each write that was acknowledged.
func writeForever(path string) error {
	db, err := disk.Open(path, disk.Options{})
	if err != nil {
		return err
	}
	if err := db.Migrate(context.Background(), "test", schema); err != nil {
		return err
	}
	var writers sync.WaitGroup
	for g := range 8 {
		writers.Go(func() {
			for i := 0; err == nil; i++ {
				k := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i)
				if err := db.Write(context.Background(), put(k, 7000)); err != nil {
					panic(err)
				}
				fmt.Println(k)
			}
		})
	}
	writers.Wait()
	return nil
}

// TestKill kills a process that writes, again and again on the same file: each
// write it acknowledged is there.
func TestKill(t *testing.T) {
	if path := os.Getenv("WRITE_FOREVER"); path != "" {
		t.Fatal(writeForever(path))
	}
	path := filepath.Join(t.TempDir(), "db")
	var acknowledged []string
	for round := range 4 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "WRITE_FOREVER="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if strings.Count(lines.Text(), "-") != 2 {
				t.Fatalf("the writing process says %q", lines.Text())
			}
			acknowledged = append(acknowledged, lines.Text())
			if n == 50+37*round {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // killed
	}
	db := open(t, path, disk.Options{})
	for _, k := range acknowledged {
		var n int
		if err := db.QueryRow(t.Context(), `SELECT length(v) FROM t WHERE k = ?`, k).Scan(&n); err != nil || n != 7000 {
			t.Errorf("acknowledged write %s: %d bytes, %v; want 7000", k, n, err)
		}
	}
	var verdict string
	if err := db.QueryRow(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %q, %v", verdict, err)
	}
}
