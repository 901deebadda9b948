package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestDiskFull is data/field's disk-full.sh and 22-disk.yml: a job fills the disk that mayfly's
// state is on. While it does, deliveries are refused; once it has ended, all is as before, also
// when mayfly up was started anew in between.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	tooltest.Need(t, "bwrap")
	if os.Geteuid() != 0 {
		tooltest.Lacking(t, "a small disk of its own is root's to mount")
	}
	for name, restart := range map[string]bool{"served on": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldConfig{})
			w.onSmallDisk(t)
			w.serve(t)
			w.push(t, map[string]string{".github/workflows/disk.yml": workflow(1, "dd if=/dev/zero of=$HOME/big bs=1M count=200 || echo FULL; sleep 8")})
			w.refused(t)
			if restart {
				if !w.up.kill() {
					t.Fatalf("mayfly up ended by itself on a full disk: %v\n%s", w.up.cmd.ProcessState, w.up.said())
				}
				// The job ends meanwhile, and nobody frees what it filled.
				instance := w.instance(t)
				for end := time.Now().Add(time.Minute); len(processesOf(instance)) > 0 && time.Now().Before(end); {
					<-time.After(50 * time.Millisecond)
				}
				w.serve(t)
			}
			w.completed(t, 1, time.Minute)
			w.nothingLeft(t, 30*time.Second)
			w.push(t, map[string]string{".github/workflows/after.yml": workflow(1, "true")})
			w.completed(t, 2, time.Minute)
			w.nothingLeft(t, 30*time.Second)
			if code := w.ping(t); code != http.StatusAccepted {
				t.Errorf("a delivery after the job is answered %d, want 202", code)
			}
			w.up.stop(t)
		})
	}
}

// onSmallDisk mounts a file system of 96 MB where w's state is.
func (w *world) onSmallDisk(t *testing.T) {
	t.Helper()
	folder := w.state()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=96m"); err != nil {
		tooltest.Lacking(t, "mounting a small disk: "+err.Error())
	}
	t.Cleanup(func() {
		w.end(t)
		w.up = nil // there is nothing to look into any more
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// refused waits until deliveries are, because the disk is full.
func (w *world) refused(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		if w.ping(t) == http.StatusServiceUnavailable {
			return
		}
	}
	t.Fatalf("no delivery was refused\n%s", w.up.said())
}

// ping delivers a signed ping and returns how it was answered.
func (w *world) ping(t *testing.T) int {
	t.Helper()
	body := []byte(`{"zen":"` + string(bytes.Repeat([]byte("x"), 100_000)) + `","hook_id":1}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.hookURL(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "ping")
	id := make([]byte, 16)
	rand.Read(id)
	req.Header.Set("X-GitHub-Delivery", fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]))
	req.Header.Set("X-Hub-Signature-256", hook.Sign(w.secret, body))
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
