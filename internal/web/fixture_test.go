package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/image"
	imagesqlite "github.com/mayfly-ci/mayfly/internal/image/sqlite"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/inspect/local"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/programtest"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/web"
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

// testMain builds what a rehearsal finds beside its program.
func testMain(m *testing.M) int {
	return programtest.Main(m, func(string) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		return programtest.Build(filepath.Dir(self), "mayfly-agent", "mayfly-minirunner")
	})
}

const token = "the-token-of-the-tests"

// A world is the real stores of a machine, filled, with a page on them. Whoever writes the
// database is the stand-in that commands use where no mayfly up runs.
type world struct {
	*machine.StandIn
	state string
	page  *web.Page
	*httptest.Server
}

func open(t testing.TB, access web.Access) *world {
	t.Helper()
	w := &world{state: t.TempDir()}
	var err error
	w.StandIn, err = machine.OpenStandIn(t.Context(), machine.Config{State: w.state, Log: slog.New(slog.DiscardHandler), Limits: ledger.Limits{Pools: pool.Set{
		pool.Pool{Name: "small", Labels: []string{"self-hosted", "linux", "small"}, Max: 4}.WithDefaults(),
		pool.Pool{Name: "large", Labels: []string{"self-hosted", "linux", "large"}, Max: 2}.WithDefaults(),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.StandIn.Close() })
	w.page = pageOf(w.state, access)
	w.Server = httptest.NewServer(w.page)
	t.Cleanup(func() { w.Server.CloseClientConnections(); w.Server.Close(); w.page.Close() })
	return w
}

// pageOf is the page of the machine whose state folder it is, as mayfly up serves it.
func pageOf(state string, access web.Access) *web.Page {
	order := func(ctx context.Context, path string, in, out any) error {
		text, err := machine.Ask[json.RawMessage](ctx, state, path, in)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, out)
	}
	return web.New(web.Config{
		Open: func(ctx context.Context) (*inspect.Source, error) {
			path := filepath.Join(state, machine.DatabaseName)
			db, err := local.OpenDatabase(ctx, path)
			if err != nil {
				return nil, err
			}
			return local.New(db, path, order), nil
		},
		Order: func(ctx context.Context, o image.Order) (digest image.Digest, err error) {
			return digest, order(ctx, "/image", o, &digest)
		},
		Access: access, Version: "test", Every: 50 * time.Millisecond,
	})
}

// here is who may read without a login, and act with the token.
func here() web.Access { return web.Access{Loopback: true, Token: secret.New(token)} }

// fill makes jobs, the last first in lists, and as many events for each; seq numbers begin after those that are there.
func (w *world) fill(t testing.TB, jobs, eventsEach int) {
	t.Helper()
	const batch = 2000
	now := time.Now().UTC().Truncate(time.Second)
	var last int
	if err := w.DB.QueryRow(t.Context(), `SELECT coalesce(max(seq), 0) FROM events`).Scan(&last); err != nil {
		t.Fatal(err)
	}
	for from := 0; from < jobs; from += batch {
		err := w.DB.Write(t.Context(), func(tx *disk.Tx) error {
			for i := from; i < min(from+batch, jobs); i++ {
				if err := insert(tx, i, jobs, eventsEach, last, now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// insert makes job i of n, with its runner and its events.
func insert(tx *disk.Tx, i, n, events, last int, now time.Time) error {
	j, r := made(i, n, now)
	body, err1 := json.Marshal(j)
	runner, err2 := json.Marshal(r)
	conclusion := j.Conclusion
	_, err3 := tx.Exec(`INSERT INTO ledger_jobs (key, open, state, changed, repository, pool, conclusion, searched, created, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		j.Key.String(), !j.Settled(), string(j.State), now.UnixMilli(), j.Scope.Repository, j.Pool, conclusion, j.Searched(), j.Created.UnixMilli(), body)
	_, err4 := tx.Exec(`INSERT INTO ledger_runners (name, live, job, changed, body) VALUES (?, ?, ?, ?, ?)`, string(r.Name), r.Live(), j.Key.String(), now.UnixMilli(), runner)
	err := errors.Join(err1, err2, err3, err4)
	for e := range events {
		seq := last + i*events + e + 1
		action := []string{"queued", "in_progress", "completed"}[e%3]
		detail := fmt.Sprintf(`{"action":%q,"repository":{"full_name":%q},"workflow_job":{"id":%d,"name":%q,"labels":["self-hosted"],"run_attempt":1}}`, action, j.Scope.Repository, j.Key.ID, j.Name)
		_, err1 := tx.Exec(`INSERT INTO events (seq, start, size, id, published, source, detail_type, time, resources) VALUES (?, 0, ?, ?, ?, 'github.com', 'workflow_job', ?, '[]')`,
			seq, len(detail), fmt.Sprintf("event-%d", seq), now.UnixMilli(), now.UnixMilli())
		_, err2 := tx.Exec(`INSERT INTO details (seq, detail) VALUES (?, ?)`, seq, []byte(detail))
		err = errors.Join(err, err1, err2)
	}
	return err
}

// made is job i of n: the last ones wait and run, the others are over, one in ten failed.
func made(i, n int, now time.Time) (ledger.Job, ledger.Runner) {
	names := []string{"lint", "unit tests", "integration", "package", "publish", "end-to-end (chromium)"}
	repositories := []string{"acme/web", "acme/api", "acme/infra", "widgets/app"}
	pools := []string{"small", "small", "small", "large"}
	created := now.Add(-time.Duration(n-i) * 40 * time.Second)
	j := ledger.Job{
		Key: ledger.NewJobKey(repositories[i%4], int64(1000+i), 1), Scope: ledger.Scope{Repository: repositories[i%4]}, Pool: pools[i%4], Name: names[i%len(names)], Workflow: "CI",
		Labels: ledger.NewLabelSet([]string{"self-hosted", "linux", pools[i%4]}), URL: "https://github.com/acme/web/actions/runs/1/job/2",
		State: ledger.JobCompleted, Conclusion: "success", Created: created, Queued: created.Add(300 * time.Millisecond), Runners: 1,
	}
	at := j.Queued
	later := func(d time.Duration) time.Time { at = at.Add(d); return at }
	r := ledger.Runner{Name: ledger.RunnerName(fmt.Sprintf("k3v9qz-%s-%d-1-1", j.Pool, j.Key.ID)), Pool: j.Pool, Labels: j.Labels, MadeFor: j.Key, Scope: j.Scope, State: ledger.RunnerGone, Reason: "done"}
	r.Made = later(time.Duration(i%7) * 400 * time.Millisecond)
	r.History = []ledger.Step{{At: r.Made, What: "wanted"}, {At: later(20 * time.Millisecond), What: "starting"}}
	r.Started, r.Claimed, r.Listened = later(700*time.Millisecond), later(150*time.Millisecond), later(600*time.Millisecond)
	r.History = append(r.History, ledger.Step{At: r.Started, What: "started"}, ledger.Step{At: r.Claimed, What: "claimed"}, ledger.Step{At: r.Listened, What: "idle"})
	j.Started = later(400 * time.Millisecond)
	j.Completed = later(time.Duration(5+i%50) * time.Second)
	r.Since, r.Done, r.Runs = later(500*time.Millisecond), j.Completed, j.Key
	j.RunnerName, r.Since = r.Name, at
	r.History = append(r.History, ledger.Step{At: j.Started, What: "busy"}, ledger.Step{At: at, What: "gone", Note: "done"})
	j.History = []ledger.Step{{At: j.Queued, What: "queued", Note: "pool " + j.Pool}, {At: j.Started, What: "running", Note: string(r.Name)}, {At: j.Completed, What: "completed", Note: "success"}}
	switch left := n - i; {
	case left <= 3: // it waits
		j.State, j.Conclusion, j.Started, j.Completed, j.RunnerName, j.History = ledger.JobQueued, "", time.Time{}, time.Time{}, "", j.History[:1]
		r.State, r.Reason, r.Runs, r.Since, r.History = ledger.RunnerGone, "it was not needed", ledger.JobKey{}, r.Made, r.History[:1]
	case left <= 6:
		j.State, j.Conclusion, j.Completed, j.History = ledger.JobRunning, "", time.Time{}, j.History[:2]
		r.State, r.Reason, r.Since, r.History = ledger.RunnerBusy, "", j.Started, r.History[:6]
	case i%10 == 3:
		j.Conclusion, r.Output = "failure", "npm test\n\x1b[31m1 of 42 tests failed\x1b[0m\nProcess completed with exit code 1."
	}
	return j, r
}

// trouble makes what needs a person: a dead letter, and a delivery in quarantine.
func (w *world) trouble(t testing.TB) {
	t.Helper()
	e := event.Event{ID: "lost-1", Source: event.SourceGitHub, DetailType: "workflow_job", Time: time.Now(), Detail: json.RawMessage(`{"action":"queued"}`)}
	if _, err := w.Bus.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	err := w.DB.Write(t.Context(), func(tx *disk.Tx) error {
		_, err := tx.Exec(`INSERT INTO dead_letters (seq, rule, replay, attempts, reason, died) SELECT seq, 'jobs', '', 12, 'the ledger did not take it: database is locked', published FROM events WHERE id = 'lost-1'`)
		_, err2 := tx.Exec(`DELETE FROM deliveries WHERE rule = 'jobs'`)
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Detail = "held-1", json.RawMessage(`{"action":"queued","workflow_job":{"name":"<b>bold</b>"}}`)
	if _, err := w.Bus.Quarantine(t.Context(), e, "workflow_job.id is missing"); err != nil {
		t.Fatal(err)
	}
}

// images makes two images, of which the newer is current.
func (w *world) images(t testing.TB) (old, current image.Digest) {
	t.Helper()
	c, err := imagesqlite.Open(t.Context(), w.DB, imagesqlite.Config{Settings: func() image.Settings { return image.Settings{} }, Emit: func(*disk.Tx, []image.Effect) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	old, current = image.Digest("sha256:"+strings.Repeat("1a", 32)), image.Digest("sha256:"+strings.Repeat("2b", 32))
	for _, in := range []image.Input{
		image.Sourced{Revision: "4f1c0de"}, image.Released{Release: image.Release{Version: "2.335.0", Published: time.Now().Add(-40 * 24 * time.Hour)}},
		image.Built{Digest: old, Version: "2.335.0", Revision: "4f1c0de"}, image.CanaryPassed{Digest: old}, image.InForce{Digest: old},
		image.Released{Release: image.Release{Version: "2.336.0", Published: time.Now().Add(-24 * time.Hour)}},
		image.Built{Digest: current, Version: "2.336.0", Revision: "4f1c0de"}, image.CanaryPassed{Digest: current}, image.InForce{Digest: current},
	} {
		if _, err := c.Apply(t.Context(), in); err != nil {
			t.Fatalf("%T: %v", in, err)
		}
	}
	return old, current
}

// A visitor is a browser without a screen.
type visitor struct {
	*http.Client
	base string
}

func (w *world) visitor(t testing.TB) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{&http.Client{Jar: jar}, w.URL}
}

// get returns the status and the text of a page.
func (v *visitor) get(t testing.TB, path string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v.do(t, r, header)
}

func (v *visitor) post(t testing.TB, path string, form url.Values, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(t, r, header)
}

func (v *visitor) do(t testing.TB, r *http.Request, header []string) (int, string) {
	t.Helper()
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := v.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// login logs in, and returns what the forms of the session carry.
func (v *visitor) login(t testing.TB) (form string) {
	t.Helper()
	if code, text := v.post(t, "/login", url.Values{"token": {token}, "back": {"/letters"}}); code != http.StatusOK {
		t.Fatalf("logging in: %d %s", code, text)
	}
	_, text := v.get(t, "/letters")
	m := regexp.MustCompile(`name="form" value="([0-9a-f]+)"`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no form on %s", text)
	}
	return m[1]
}

// fillOne makes one more job.
func (w *world) fillOne(t testing.TB, i int) {
	t.Helper()
	if err := w.DB.Write(t.Context(), func(tx *disk.Tx) error { return insert(tx, i, i+1, 0, 0, time.Now().UTC()) }); err != nil {
		t.Fatal(err)
	}
}

// serve serves a page for the test, and returns its address.
func serve(t testing.TB, page *web.Page) string {
	t.Helper()
	s := httptest.NewServer(page)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close(); page.Close() })
	return s.URL
}
