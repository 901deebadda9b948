package bus_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// runForever is what the killed process does: it publishes from 4 goroutines,
// delivers, and prints what was acknowledged and what was delivered.
func runForever(t *testing.T, path string) {
	w := newWorld(t)
	w.path = path
	w.config.Targets["note"] = func(_ context.Context, e event.Event) error {
		fmt.Println("delivered", e.ID)
		return nil
	}
	w.open()
	w.run()
	var publishers sync.WaitGroup
	for g := range 4 {
		publishers.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), g, i)
				if _, err := w.bus.Publish(t.Context(), job(id)); err != nil {
					panic(err)
				}
				fmt.Println("published", id)
			}
		})
	}
	publishers.Wait()
}

// killRounds runs the test in processes of its own, one after another on the file of w, and
// kills each after it has said more than the one before. say is told all that they say.
func (w *world) killRounds(rounds int, say func(round int, what, rest string)) {
	w.t.Helper()
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^"+w.t.Name()+"$")
		cmd.Env = append(os.Environ(), "RUN_FOREVER="+w.path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			w.t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			w.t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			what, rest, ok := strings.Cut(lines.Text(), " ")
			if !ok || strings.HasPrefix(what, "-") {
				w.t.Fatalf("process %d says %q", round, lines.Text())
			}
			say(round, what, rest)
			if n == 60+41*(round%7) {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // killed
	}
}

// TestKill kills a process with a bus, again and again on the same file, then
// lets one finish: each event that was acknowledged is delivered.
func TestKill(t *testing.T) {
	if path := os.Getenv("RUN_FOREVER"); path != "" {
		runForever(t, path)
	}
	w := newWorld(t)
	seen := map[string]map[string]bool{"published": {}, "delivered": {}}
	w.killRounds(4, func(_ int, what, id string) { seen[what][id] = true })
	w.open()
	w.run()
	defer w.stop()
	for deadline := time.Now().Add(20 * time.Second); w.pending() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d deliveries still pending", w.pending())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.got {
		seen["delivered"][id] = true
	}
	for id := range seen["published"] {
		if !seen["delivered"][id] {
			t.Errorf("event %s was acknowledged and not delivered", id)
		}
	}
	if len(seen["published"]) < 100 {
		t.Errorf("%d events acknowledged; want more, or this tests nothing", len(seen["published"]))
	}
}
