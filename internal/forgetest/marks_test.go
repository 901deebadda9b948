package forgetest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// marks is told by jobs that they run, when they do, over a connection of their own: what the forge
// says of that is exact to a second, and late.
type marks struct {
	address string
	mu      sync.Mutex
	at      map[string]time.Time // by what was said; under mu
	said    chan struct{}        // has room for one: something was said
}

func listen(t *testing.T) *marks {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	m := &marks{address: l.Addr().String(), at: map[string]time.Time{}, said: make(chan struct{}, 1)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.take(c)
		}
	}()
	return m
}

func (m *marks) take(c net.Conn) {
	defer c.Close()
	at := time.Now()
	line, _ := bufio.NewReader(c).ReadString('\n') // of who says nothing
	m.mu.Lock()
	m.at[strings.TrimSpace(line)] = at
	m.mu.Unlock()
	select {
	case m.said <- struct{}{}:
	default:
	}
}

// step is a step of a job in bash that says what.
func (m *marks) step(what string) string {
	host, port, _ := strings.Cut(m.address, ":")
	return fmt.Sprintf("echo %s > /dev/tcp/%s/%s", what, host, port)
}

// of waits until all of what was said, and returns when.
func (m *marks) of(t *testing.T, what ...string) []time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		var all []time.Time
		m.mu.Lock()
		for _, w := range what {
			if at, ok := m.at[w]; ok {
				all = append(all, at)
			}
		}
		m.mu.Unlock()
		if len(all) == len(what) {
			return all
		}
		select {
		case <-m.said:
		case <-ctx.Done():
			t.Fatalf("%d of %d jobs said that they run, within %v", len(all), len(what), patience)
		}
	}
}
