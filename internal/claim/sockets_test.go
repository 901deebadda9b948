package claim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/claim"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// A book is a ledger that keeps the rule: one claim per runner, granted again
// only while nothing was registered.
type book struct {
	mu         sync.Mutex
	refuse     string           // reason to refuse every claim
	fail       []error          // of Registered, in turn
	registered map[string]int64 // by runner
	claims     int
	putOff     []time.Duration // by PutOff
	putOffErr  error           // of PutOff
	reports    []claim.Report
	answer     error // of Report
}

func (b *book) Claim(_ context.Context, runner string) (claim.Permit, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claims++
	if b.refuse != "" {
		return claim.Permit{}, &claim.Refused{Reason: b.refuse}
	}
	if b.registered[runner] != 0 {
		return claim.Permit{}, &claim.Refused{Reason: "claimed already"}
	}
	return claim.Permit{Job: "acme/web/1/1", Scope: "acme/web", Labels: []string{"small"}, IdleLimit: time.Minute}, nil
}

func (b *book) PutOff(_ context.Context, _ string, p claim.Permit, later *claim.Later) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.putOff = append(b.putOff, later.After)
	return b.putOffErr
}

func (b *book) Registered(_ context.Context, runner string, id int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.fail) > 0 {
		err := b.fail[0]
		b.fail = b.fail[1:]
		return err
	}
	if b.registered == nil {
		b.registered = map[string]int64{}
	}
	b.registered[runner] = id
	return nil
}

func (b *book) Report(_ context.Context, _ string, r claim.Report) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reports = append(b.reports, r)
	return b.answer
}

// A hub is a forge that holds registrations by name, as GitHub does.
type hub struct {
	mu     sync.Mutex
	fail   []error // of Register, in turn; nil for none. An errLost comes after the registration.
	byName map[string]int64
	last   int64
	made   int
}

var errLost = errors.New("the answer was lost")

func (h *hub) Register(_ context.Context, p claim.Permit, runner string) (claim.Registration, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	if len(h.fail) > 0 {
		err, h.fail = h.fail[0], h.fail[1:]
	}
	if err != nil && !errors.Is(err, errLost) {
		return claim.Registration{}, err
	}
	if h.byName[runner] != 0 {
		return claim.Registration{}, claim.ErrTaken
	}
	if h.byName == nil {
		h.byName = map[string]int64{}
	}
	h.last++
	h.byName[runner] = h.last
	h.made++
	return claim.Registration{ID: h.last, JIT: secret.New(fmt.Sprintf("jit-%d-%s", h.last, p.Labels[0]))}, err
}

func (h *hub) Forget(_ context.Context, _ claim.Permit, runner string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.byName, runner)
	return nil
}

// open opens the socket of r1 in dir.
func open(t *testing.T, dir string, b *book, h *hub) (*claim.SocketServer, string) {
	t.Helper()
	sockets, err := claim.New(claim.Config{Dir: dir, Ledger: b, Forge: h, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sockets.Close("r1") })
	folder, err := sockets.Open("r1")
	if err != nil {
		t.Fatal(err)
	}
	return sockets, filepath.Join(folder, claim.SocketName)
}

// post makes one request on socket and returns status, header and body.
func post(t *testing.T, socket, path, body string) (*http.Response, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, socket)
	}}}
	res, err := client.Post("http://claim"+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// dial reaches a socket whose path is too long for an address, as the tests of
// one in a deep folder need.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	dir, err := os.Open(filepath.Dir(socket))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var d net.Dialer
	return d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(socket)))
}

func TestOneClaimPerRunner(t *testing.T) {
	b, h := &book{}, &hub{}
	_, socket := open(t, t.TempDir(), b, h)
	res, body := post(t, socket, claim.PathClaim, "{}")
	var grant claim.Grant
	if err := json.Unmarshal([]byte(body), &grant); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("first claim: %s %s (%v)", res.Status, body, err)
	}
	want := claim.Grant{Runner: "r1", JIT: "jit-1-small", IdleLimit: time.Minute}
	if diff := cmp.Diff(want, grant); diff != "" {
		t.Errorf("grant (-want +got):\n%s", diff)
	}
	if b.registered["r1"] != 1 {
		t.Errorf("the ledger knows %v", b.registered)
	}
	res, body = post(t, socket, claim.PathClaim, "{}")
	if res.StatusCode != http.StatusForbidden || !strings.Contains(body, "spent") || h.made != 1 {
		t.Errorf("second claim: %s %s, %d registrations", res.Status, body, h.made)
	}
}

// TestClaimsAtOnce has many callers on one socket: one of them may win.
func TestClaimsAtOnce(t *testing.T) {
	h := &hub{}
	_, socket := open(t, t.TempDir(), &book{}, h)
	var wg sync.WaitGroup
	granted := make(chan string, 30)
	for range cap(granted) {
		wg.Go(func() {
			if res, body := post(t, socket, claim.PathClaim, ""); res.StatusCode == http.StatusOK {
				granted <- body
			}
		})
	}
	wg.Wait()
	if len(granted) != 1 || h.made != 1 {
		t.Errorf("%d grants, %d registrations: want 1", len(granted), h.made)
	}
}

func TestRefused(t *testing.T) {
	b, h := &book{refuse: "the job is done"}, &hub{}
	_, socket := open(t, t.TempDir(), b, h)
	for range 2 {
		res, body := post(t, socket, claim.PathClaim, "")
		if res.StatusCode != http.StatusForbidden || !strings.Contains(body, "the job is done") {
			t.Errorf("claim: %s %s", res.Status, body)
		}
		b.refuse = "" // a no stays one
	}
	if h.made != 0 || b.claims != 1 {
		t.Errorf("%d registrations, %d claims: want none and 1", h.made, b.claims)
	}
}

// TestForgeFaults follows a claim through what GitHub can answer.
func TestForgeFaults(t *testing.T) {
	taken := &hub{byName: map[string]int64{"r1": 99}, last: 99}
	for name, test := range map[string]struct {
		hub    *hub
		failed []error // of Registered
		status []int   // of the claims, in turn
		after  string  // Retry-After of the first
		putOff []time.Duration
		id     int64 // registered at the end; 0 for none
	}{
		"rate limit": {
			hub:    &hub{fail: []error{&claim.Later{After: 90 * time.Second, Err: errors.New("403")}}},
			status: []int{503, 200, 403}, after: "90", id: 1, putOff: []time.Duration{90 * time.Second},
		},
		"server error": {
			hub:    &hub{fail: []error{&claim.Later{Err: errors.New("502")}, errors.New("unnamed")}},
			status: []int{503, 503, 200, 403}, after: "2", id: 1, putOff: []time.Duration{0},
		},
		"lost answer": {
			hub:    &hub{fail: []error{&claim.Later{Err: errLost}}},
			status: []int{503, 200, 403}, after: "2", id: 2, putOff: []time.Duration{0},
		},
		"name taken, and then a rate limit": {
			hub:    &hub{byName: map[string]int64{"r1": 99}, last: 99, fail: []error{nil, &claim.Later{After: time.Second, Err: errors.New("429")}}},
			status: []int{503, 200, 403}, after: "1", id: 100, putOff: []time.Duration{time.Second},
		},
		"name taken": {hub: taken, status: []int{200, 403}, id: 100},
		"refused": {
			hub:    &hub{fail: []error{&claim.Refused{Reason: "404: no such runner group"}}},
			status: []int{403, 403}, id: 0,
		},
		"ledger full after registration": {
			hub: &hub{}, failed: []error{errors.New("disk full")},
			status: []int{503, 200, 403}, after: "2", id: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &book{fail: test.failed}
			_, socket := open(t, t.TempDir(), b, test.hub)
			for i, want := range test.status {
				res, body := post(t, socket, claim.PathClaim, "")
				if res.StatusCode != want {
					t.Fatalf("claim %d: %s %s, want %d", i+1, res.Status, body, want)
				}
				if i == 0 && res.Header.Get("Retry-After") != test.after {
					t.Errorf("Retry-After %q, want %q", res.Header.Get("Retry-After"), test.after)
				}
			}
			if b.registered["r1"] != test.id || test.hub.byName["r1"] != test.id {
				t.Errorf("ledger has %v, forge has %v: want %d in both", b.registered, test.hub.byName, test.id)
			}
			if b.claims != 1 {
				t.Errorf("the ledger decided %d times, want once", b.claims)
			}
			if diff := cmp.Diff(test.putOff, b.putOff); diff != "" {
				t.Errorf("grants given back, by when again (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGrantThatIsNotGivenBack: a ledger that is out of reach when GitHub says no changes nothing
// of the answer.
func TestGrantThatIsNotGivenBack(t *testing.T) {
	b := &book{putOffErr: errors.New("no ledger")}
	h := &hub{fail: []error{&claim.Later{After: 3 * time.Second, Err: errors.New("429")}}}
	_, socket := open(t, t.TempDir(), b, h)
	if res, body := post(t, socket, claim.PathClaim, ""); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "3" {
		t.Errorf("claim: %s %s, Retry-After %q", res.Status, body, res.Header.Get("Retry-After"))
	}
}

// TestLostGrant cuts the connection before the answer: the claim is spent, and no
// second registration comes of it.
func TestLostGrant(t *testing.T) {
	b, h := &book{}, &hub{}
	_, socket := open(t, t.TempDir(), b, h)
	conn, err := dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "POST /claim HTTP/1.1\r\nHost: claim\r\nContent-Length: 0\r\n\r\n")
	one := make([]byte, 1)
	conn.Read(one) // the answer is on its way
	conn.Close()
	if res, body := post(t, socket, claim.PathClaim, ""); res.StatusCode != http.StatusForbidden || h.made != 1 {
		t.Errorf("claim after a lost grant: %s %s, %d registrations", res.Status, body, h.made)
	}
}

// TestRestart has Mayfly die at each point of a claim.
func TestRestart(t *testing.T) {
	for name, test := range map[string]struct {
		book   *book
		hub    *hub
		before int // status of the claim before
		after  int // and of that after the restart
	}{
		"granted":    {&book{}, &hub{fail: []error{&claim.Later{Err: errors.New("502")}}}, 503, 200},
		"registered": {&book{fail: []error{errors.New("killed")}}, &hub{}, 503, 200},
		"spent":      {&book{}, &hub{}, 200, 403},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			sockets, socket := open(t, dir, test.book, test.hub)
			if res, body := post(t, socket, claim.PathClaim, ""); res.StatusCode != test.before {
				t.Fatalf("before: %s %s, want %d", res.Status, body, test.before)
			}
			if err := sockets.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, again := open(t, dir, test.book, test.hub)
			if again != socket {
				t.Errorf("socket at %s, then at %s", socket, again)
			}
			if res, body := post(t, socket, claim.PathClaim, ""); res.StatusCode != test.after {
				t.Errorf("after: %s %s, want %d", res.Status, body, test.after)
			}
			if len(test.hub.byName) != 1 {
				t.Errorf("registrations %v, want one", test.hub.byName)
			}
		})
	}
}

func TestFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 40), "claims") // no unix address is that long
	sockets, socket := open(t, dir, &book{}, &hub{})
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Dir(socket): 0o711, socket: 0o666} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
	if again, err := sockets.Open("r1"); err != nil || again != filepath.Dir(socket) {
		t.Errorf("opened again at %s: %v", again, err)
	}
	if names, err := sockets.Runners(); err != nil || !cmp.Equal(names, []string{"r1"}) {
		t.Errorf("runners %v: %v", names, err)
	}
	for _, name := range []string{"", "..", "a/b", "A", ".r1", strings.Repeat("a", 65)} {
		if _, err := sockets.Open(name); err == nil {
			t.Errorf("a socket for %q was opened", name)
		}
		if err := sockets.Close(name); err == nil {
			t.Errorf("%q was closed", name)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".r1"), nil, 0o600); err != nil { // as a crash leaves it
		t.Fatal(err)
	}
	if err := sockets.Close("r1"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	if err := sockets.Close("r1"); err != nil {
		t.Errorf("closing what is closed: %v", err)
	}
}

// TestHostileFolder has a container put a link where the socket belongs.
func TestHostileFolder(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	os.WriteFile(victim, []byte("kept"), 0o600)
	claims := filepath.Join(dir, "claims")
	sockets, socket := open(t, claims, &book{}, &hub{})
	sockets.Shutdown(t.Context())
	os.Remove(socket)
	os.Symlink(victim, socket)
	sockets, _ = open(t, claims, &book{}, &hub{})
	if res, _ := post(t, socket, claim.PathClaim, ""); res.StatusCode != http.StatusOK {
		t.Errorf("claim: %s", res.Status)
	}
	sockets.Close("r1")
	info, err := os.Stat(victim)
	if text, _ := os.ReadFile(victim); err != nil || info.Mode().Perm() != 0o600 || string(text) != "kept" {
		t.Errorf("the link's target is now %v %q: %v", info.Mode(), text, err)
	}
}

func TestReports(t *testing.T) {
	b := &book{}
	_, socket := open(t, t.TempDir(), b, &hub{})
	gone := claim.Report{Phase: claim.PhaseGone, ExitCode: 3, Reason: "idle limit"}
	text, _ := json.Marshal(gone)
	for _, test := range []struct {
		body   string
		answer error
		want   int
	}{
		{string(text), nil, 204},
		{`{"phase":"leaving"}`, claim.ErrBusy, 409},
		{`{"phase":"idle"}`, errors.New("disk full"), 503},
		{`{"phase":"dancing"}`, nil, 400},
		{`{"phase":"gone","exit_code":"many"}`, nil, 400},
		{`{`, nil, 400},
		{fmt.Sprintf(`{"phase":"gone","reason":%q}`, strings.Repeat("x", 1001)), nil, 400},
		{fmt.Sprintf(`{"phase":"gone","reason":%q}`, strings.Repeat("x", 70_000)), nil, 413},
	} {
		b.answer = test.answer
		if res, body := post(t, socket, claim.PathReport, test.body); res.StatusCode != test.want {
			t.Errorf("%.60s: %s %s, want %d", test.body, res.Status, body, test.want)
		}
	}
	if len(b.reports) != 3 || !cmp.Equal(b.reports[0], gone) {
		t.Errorf("the ledger has %+v", b.reports)
	}
}

// TestReportsAreCounted has a job forge reports: they must not fill the ledger.
func TestReportsAreCounted(t *testing.T) {
	b := &book{}
	_, socket := open(t, t.TempDir(), b, &hub{})
	var res *http.Response
	for range 101 {
		res, _ = post(t, socket, claim.PathReport, `{"phase":"busy"}`)
	}
	if res.StatusCode != http.StatusForbidden || len(b.reports) != 100 {
		t.Errorf("%s after %d reports", res.Status, len(b.reports))
	}
}

// TestConnectionsAreLimited has a job hold connections open: a further one waits.
func TestConnectionsAreLimited(t *testing.T) {
	sockets, socket := open(t, t.TempDir(), &book{}, &hub{})
	var held []net.Conn
	for range 8 {
		c, err := dial(t.Context(), socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	done := make(chan int, 1)
	go func() {
		res, _ := post(t, socket, claim.PathClaim, "")
		done <- res.StatusCode
	}()
	select {
	case status := <-done:
		t.Errorf("answered %d over a ninth connection", status)
	case <-time.After(50 * time.Millisecond):
	}
	held[0].Close()
	if status := <-done; status != http.StatusOK {
		t.Errorf("answered %d when a place was free", status)
	}
	if err := sockets.Close("r1"); err != nil {
		t.Error(err)
	}
}

func TestNoSecretInLog(t *testing.T) {
	var log bytes.Buffer
	sockets, err := claim.New(claim.Config{
		Dir: t.TempDir(), Ledger: &book{}, Forge: &hub{},
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := sockets.Open("r1")
	if err != nil {
		t.Fatal(err)
	}
	_, body := post(t, filepath.Join(dir, claim.SocketName), claim.PathClaim, "")
	if err := sockets.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "job=acme/web/1/1") || strings.Contains(text, "jit-") || !strings.Contains(body, "jit-1") {
		t.Errorf("log %q, answer %q", text, body)
	}
}

// FuzzClaimRequest sends whatever a job can think of over its socket.
func FuzzClaimRequest(f *testing.F) {
	for _, seed := range []string{
		"POST /claim HTTP/1.1\r\nHost: claim\r\nContent-Length: 2\r\n\r\n{}",
		"POST /report HTTP/1.1\r\nHost: claim\r\nContent-Length: 16\r\n\r\n{\"phase\":\"idle\"}",
		"POST /report HTTP/1.1\r\nHost: claim\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"GET /../claim HTTP/1.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	sockets, err := claim.New(claim.Config{Dir: f.TempDir(), Ledger: &book{}, Forge: &hub{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		folder, err := sockets.Open("fuzz")
		if err != nil {
			t.Fatal(err)
		}
		defer sockets.Close("fuzz")
		conn, err := dial(t.Context(), filepath.Join(folder, claim.SocketName))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write(request)
		conn.(*net.UnixConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.")) {
			t.Errorf("%q was answered %q", request, answer)
		}
		if strings.Count(string(answer), "encoded_jit_config") > 1 {
			t.Errorf("%q got two configurations: %q", request, answer)
		}
	})
}

// TestHandlerPerCall gives each call a Handler of its own, as functions do: the
// ledger alone remembers, and it comes to the same.
func TestHandlerPerCall(t *testing.T) {
	b := &book{fail: []error{errors.New("not stored")}}
	h := &hub{fail: []error{&claim.Later{After: 7 * time.Second, Err: errors.New("rate limit")}, errLost}}
	call := func(path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		config := claim.Config{Ledger: b, Forge: h, Log: slog.New(slog.DiscardHandler)}
		claim.Handler(config, "r1").ServeHTTP(w, httptest.NewRequest("POST", path, strings.NewReader(body)))
		return w
	}
	for i, want := range []int{
		503, // GitHub is busy
		503, // it has registered the runner, and its answer was lost
		503, // registered again, but not in the ledger
		200, 403,
	} {
		if w := call(claim.PathClaim, ""); w.Code != want || want == 200 && !strings.Contains(w.Body.String(), "jit-3-small") {
			t.Errorf("claim %d: %d %s, want %d", i+1, w.Code, w.Body, want)
		}
	}
	if len(h.byName) != 1 || b.registered["r1"] != h.byName["r1"] {
		t.Errorf("the forge has %v, the ledger %v: want one, and the same", h.byName, b.registered)
	}
	if w := call(claim.PathReport, `{"phase":"idle"}`); w.Code != 204 || len(b.reports) != 1 {
		t.Errorf("report: %d %s", w.Code, w.Body)
	}
}
