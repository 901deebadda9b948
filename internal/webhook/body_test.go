package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/webhook"
)

// zeros is a body of n bytes that takes no memory.
type zeros struct{ left int }

func (z *zeros) Close() error { return nil }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	clear(p[:n])
	z.left -= n
	return n, nil
}

// unsigned returns a request with a body of that many bytes, which nobody has signed.
func unsigned(addr string, body io.ReadCloser, length int64) *http.Request {
	r := delivery(addr, "ping", "d-1", nil)
	r.Body, r.ContentLength = body, length
	return r
}

// status makes a request and returns the status of the answer, or 0.
func status(r *http.Request) int {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// holdLarge opens requests of large bodies until one is refused, and returns what ends them, each in
// a way of its own.
func holdLarge(t *testing.T, addr string) (end func()) {
	t.Helper()
	const sent = 20 << 20
	answers := make(chan int, 20)
	var feeds []*io.PipeWriter
	for refused := false; !refused; {
		if len(feeds) == 20 {
			t.Fatal("20 large bodies are being read, and none was refused")
		}
		out, in := io.Pipe()
		feeds = append(feeds, in)
		go func() { answers <- status(unsigned(addr, out, sent+1)) }()
		_, err := io.CopyN(in, &zeros{sent}, sent)
		refused = err != nil
	}
	if got := <-answers; got != http.StatusServiceUnavailable && got != 0 {
		t.Errorf("one large body more: status %d, want 503", got)
	}
	return func() {
		for i, in := range feeds {
			if i%2 == 0 {
				_, _ = in.Write([]byte("x")) // the whole body: not signed
			}
			in.CloseWithError(io.ErrUnexpectedEOF)
		}
		for range feeds[1:] {
			<-answers
		}
	}
}

// TestLargeBodies: strangers who send much cannot take the memory, do not keep small deliveries
// out, and nobody once they are gone, however they went.
func TestLargeBodies(t *testing.T) {
	h, _ := newHandler(t, nil)
	addr := serve(t, h)
	large := []byte(`{"zen":"` + strings.Repeat("z", 20<<20) + `"}`)
	for round := range 3 {
		end := holdLarge(t, addr)
		if got := do(t, delivery(addr, "ping", fmt.Sprint("small-", round), []byte("{}"))); got.Status != http.StatusAccepted {
			t.Errorf("a small one meanwhile: %+v, want 202", got)
		}
		end()
		if got := do(t, delivery(addr, "ping", fmt.Sprint("large-", round), large)); got.Status != http.StatusAccepted {
			t.Errorf("a large one afterwards: %+v, want 202", got)
		}
	}
}

// TestMemory sends 50 unsigned bodies of 25 MB at once.
func TestMemory(t *testing.T) {
	const bound = 150 << 20 // of which 128 MiB are for bodies
	h, _ := newHandler(t, nil)
	addr := serve(t, h)
	stop, peak := make(chan struct{}), make(chan uint64)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := m.HeapInuse
	go func() {
		var most uint64
		for {
			select {
			case <-stop:
				peak <- most
				return
			default:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { status(unsigned(addr, &zeros{webhook.DefaultMaxBody}, webhook.DefaultMaxBody)) })
	}
	all.Wait()
	close(stop)
	if most := <-peak; most > before+bound {
		t.Errorf("%d MB more in use than before, want at most %d", (most-before)>>20, bound>>20)
	}
}

// TestSlowBody: a client that sends slowly is cut off, a large body sooner.
func TestSlowBody(t *testing.T) {
	for _, c := range []struct {
		name  string
		first int // bytes that come at once
		limit time.Duration
	}{{"small", 100, 10 * time.Second}, {"large", 300 << 10, 6 * time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := newHandler(t, nil)
				client, resp := pipeServer(t, h)
				begun := time.Now()
				r := unsigned("mayfly.example.com", &zeros{c.first}, 10<<20)
				go func() { _ = r.Write(client) }()
				got := read(t, resp(r), nil)
				if took := time.Since(begun); got.Status != http.StatusRequestTimeout || took != c.limit {
					t.Errorf("%+v after %v, want 408 after %v", got, took, c.limit)
				}
			})
		})
	}
}

// pipeServer serves h on one connection in memory, and returns its other end and what reads an answer there.
func pipeServer(t *testing.T, h http.Handler) (net.Conn, func(*http.Request) *http.Response) {
	t.Helper()
	client, server := net.Pipe()
	l := &oneConn{conn: server, closed: make(chan struct{})}
	s := webhook.Server(h, slog.New(slog.DiscardHandler))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		client.Close()
		s.Close()
		<-ended
		time.Sleep(time.Second) // net/http waits before it closes a connection
	})
	return client, func(r *http.Request) *http.Response {
		resp, err := http.ReadResponse(bufio.NewReader(client), r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
}

// oneConn is a listener with one connection.
type oneConn struct {
	mu     sync.Mutex
	conn   net.Conn // under mu; nil once it was accepted
	once   sync.Once
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	l.mu.Lock()
	conn := l.conn
	l.conn = nil
	l.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// TestRefusalsAreReadByProxies: who writes a body of which the beginning is enough to refuse it
// can write 256 KiB of it, and reads the answer.
func TestRefusalsAreReadByProxies(t *testing.T) {
	for name, edit := range map[string]func(*http.Request){
		"no signature": func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") },
		"too large":    func(r *http.Request) { r.ContentLength = 50 << 20 },
		"PUT":          func(r *http.Request) { r.Method = http.MethodPut },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := newHandler(t, nil)
				client, resp := pipeServer(t, h)
				r := unsigned("mayfly.example.com", &zeros{256 << 10}, 10<<20)
				edit(r)
				var head bytes.Buffer
				_ = r.Write(&head) // as far as there is a body
				written := make(chan error, 1)
				go func() {
					_, err := client.Write(head.Bytes())
					written <- err
				}()
				if got := read(t, resp(r), nil); got.Status < 400 || got.Error == "" {
					t.Errorf("%+v", got)
				}
				if err := <-written; err != nil {
					t.Errorf("writing 256 KiB of the body: %v", err)
				}
			})
		})
	}
}

// TestSlowDisk: the time limit of a body is over once it is there; what keeps it has its own.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHandler(t, func(c *webhook.Config) {
			c.Publish = func(ctx context.Context, _ event.Event) (bool, error) {
				select {
				case <-time.After(8 * time.Second):
					return true, nil
				case <-ctx.Done():
					return false, ctx.Err()
				}
			}
		})
		client, resp := pipeServer(t, h)
		r := delivery("mayfly.example.com", "ping", "d-1", []byte(`{"zen":"`+strings.Repeat("z", 300<<10)+`"}`))
		go func() { _ = r.Write(client) }()
		if got := read(t, resp(r), nil); got.Status != http.StatusAccepted {
			t.Errorf("%+v, want 202", got)
		}
	})
}
