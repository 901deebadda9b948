package podman

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// config has programs that stand in for an image's: podman notes its environment and answers nothing.
func config(t *testing.T, missing string) Config {
	t.Helper()
	dir := t.TempDir()
	for _, name := range programs {
		text := "#!/bin/sh\necho \"$LISTEN_PID $$ $LISTEN_FDS $DISABLE_HC_SYSTEMD $@\" > " + dir + "/said.new; mv " + dir + "/said.new " + dir + "/said; exec sleep 60\n"
		if name != missing {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	if missing != "" {
		t.Setenv("PATH", dir)
	}
	return Config{Folder: dir, Socket: filepath.Join(dir, "s"), Env: os.Environ(), Mirror: "http://127.0.0.1:5000/hub/", Log: slog.New(slog.DiscardHandler)}
}

// TestListen starts the engine with the first connection and not before, on the socket that is there.
func TestListen(t *testing.T) {
	c := config(t, "")
	env, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(env, "DOCKER_HOST=unix://"+c.Socket) {
		t.Errorf("%v without DOCKER_HOST", env)
	}
	said := filepath.Join(c.Folder, "said")
	if _, err := os.Stat(said); err == nil {
		t.Error("the engine runs before somebody asked for it")
	}
	conn, err := net.Dial("unix", c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var text []byte
	for end := time.Now().Add(time.Minute); ; {
		if text, err = os.ReadFile(said); err == nil || time.Now().After(end) {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 4 || fields[0] != fields[1] || !strings.HasSuffix(string(text), " 1 true system service --time=0\n") {
		t.Fatalf("podman was started with %q", text)
	}
	if pid, err := strconv.Atoi(fields[1]); err == nil {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	for file, want := range map[string]string{
		"registries.conf": "location = \"127.0.0.1:5000/hub\"\ninsecure = true\n", "storage.conf": "rootless_storage_path = \"" + c.Folder + "/storage\"",
		"containers.conf": "stop_timeout = 1",
	} {
		if text, err := os.ReadFile(filepath.Join(c.Folder, file)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, without %q:\n%s", file, err, want, text)
		}
	}
}

func TestListenNeedsAnImage(t *testing.T) {
	if _, err := Listen(config(t, "newuidmap")); !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), "newuidmap is missing") {
		t.Errorf("%v, want what is missing", err)
	}
}

// engine answers as Podman does for two containers, one with a check.
type engine struct {
	mu     sync.Mutex
	checks []string
	done   chan struct{}
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/v1.41/containers/json":
		json.NewEncoder(w).Encode([]map[string]string{{"Id": "a"}, {"Id": "b"}})
	case r.URL.Path == "/v1.41/containers/a/json":
		io.WriteString(w, `{"Config": {"Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 2000000000}}}`)
	case strings.HasSuffix(r.URL.Path, "/json"):
		io.WriteString(w, `{"Config": {}}`)
	default:
		e.mu.Lock()
		e.checks = append(e.checks, r.URL.Path)
		e.mu.Unlock()
		e.done <- struct{}{}
	}
}

// TestChecks runs a check each time its interval is over.
func TestChecks(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{done: make(chan struct{}, 10)}
	server := &http.Server{Handler: e}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	c, begun := newChecker(socket), time.Now()
	for second, want := range []int{0, 0, 1, 1, 2} {
		c.turn(begun.Add(time.Duration(second) * time.Second))
		for e.mu.Lock(); len(e.checks) < want; e.mu.Lock() {
			e.mu.Unlock()
			<-e.done
		}
		if len(e.checks) != want || want > 0 && e.checks[0] != "/v4.0.0/libpod/containers/a/healthcheck" {
			t.Errorf("after %d s: %v, want %d", second, e.checks, want)
		}
		e.mu.Unlock()
	}
}
