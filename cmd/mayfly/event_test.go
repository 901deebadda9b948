package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// events writes events to a file: each with a source, and an id if it is not empty.
func eventsFile(t *testing.T, events ...string) string {
	t.Helper()
	var text strings.Builder
	for _, e := range events {
		source, id, _ := strings.Cut(e, " ")
		if id != "" {
			id = fmt.Sprintf(`"id": %q, `, id)
		}
		fmt.Fprintf(&text, "{%s\"source\": %q, \"detail-type\": \"Order Placed\", \"detail\": {\"n\": 1e400}}\n", id, source)
	}
	file := filepath.Join(t.TempDir(), "events.json")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestEventPut(t *testing.T) {
	t.Parallel()
	for name, beside := range map[string]bool{"by itself": false, "beside mayfly up": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, state := writeConfig(t, smallConfig)
			bury(t, state, "pings")
			if beside {
				serveStore(t, file, state, false)
			}
			put := eventsFile(t, "acme.shop a", "acme.shop b", "acme.shop")
			for _, want := range []machine.PutAnswer{{Published: 3}, {Published: 1, Known: 2}} {
				if diff := cmp.Diff(want, tooltest.JSON[machine.PutAnswer](t, "-c", file, "event", "put", put, "--json")); diff != "" {
					t.Error(diff)
				}
			}
			list := tooltest.JSON[[]event.Event](t, "-c", file, "events", "--json", "--from", "acme.shop")
			if len(list) != 4 || list[3].ID != "a" || string(list[3].Detail) != "{\n      \"n\": 1e400\n    }" || time.Since(list[0].Time) > time.Hour {
				t.Errorf("events: %s", list)
			}
			for want, bad := range map[string]string{
				"want another one": eventsFile(t, "mayfly"), "source is empty": eventsFile(t, ""), "EOF": eventsFile(t),
			} {
				if _, errs, code := tooltest.Mayfly(t, "-c", file, "event", "put", bad); code != 2 || !strings.Contains(errs, want) {
					t.Errorf("exit code %d, want 2 and %q:\n%s", code, want, errs)
				}
			}
		})
	}
}

// TestFollow reads what follows beside a process that publishes.
func TestFollow(t *testing.T) {
	t.Parallel()
	file, state := writeConfig(t, smallConfig)
	m := serveStore(t, file, state, false)
	pattern := filepath.Join(t.TempDir(), "pattern.json")
	if err := os.WriteFile(pattern, []byte(`{"source": [{"prefix": "acme."}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(source, id string) {
		t.Helper()
		e := event.Event{ID: id, Source: source, DetailType: "x", Time: time.Now(), Detail: []byte(`{}`)}
		if _, err := m.Bus.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		put("acme.shop", fmt.Sprint("old", i))
	}
	cmd := exec.CommandContext(t.Context(), tooltest.Binary("mayfly"), "-c", file, "events", "--follow", "--pattern", pattern, "--limit", "2")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	next := func() string {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("no further line: %v", lines.Err())
		}
		words := strings.Fields(lines.Text())
		return words[len(words)-1]
	}
	got := []string{next(), next()}
	for i := range 5 {
		put("other", fmt.Sprint("other", i))
		put("acme.shop", fmt.Sprint("new", i))
	}
	for range 5 {
		got = append(got, next())
	}
	if diff := cmp.Diff([]string{"old1", "old2", "new0", "new1", "new2", "new3", "new4"}, got); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}
