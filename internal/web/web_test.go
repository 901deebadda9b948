package web_test

import (
	"bufio"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/web"
)

// has fails unless a page has all of these, and a code.
func has(t *testing.T, path string, code, want int, text string, parts ...string) {
	t.Helper()
	if code != want {
		t.Errorf("%s answers %d, want %d: %.300s", path, code, want, text)
	}
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q in\n%s", path, p, mainOf(text))
		}
	}
}

// TestPages: each page shows what the stores have, whole without JavaScript.
func TestPages(t *testing.T) {
	w := open(t, here())
	w.trouble(t)
	w.fill(t, 60, 3)
	_, current := w.images(t)
	v := w.visitor(t)
	for path, parts := range map[string][]string{
		"/":                                {"3 jobs run, 3 wait", `href="/jobs/`, "mayfly up is running", "1 dead letter", "Launcher", "2.336.0"},
		"/jobs":                            {"unit tests", "acme/infra", "failure", `rel="next"`},
		"/jobs?state=failure":              {"failure"},
		"/jobs?q=LINT&repository=acme/web": {"lint"},
		"/jobs?q=nothing-like-that":        {"No job is like that."},
		"/jobs/acme/web/1000/1":            {"lint", "Where its time went", "registering", "running", "k3v9qz-small-1000-1-1", `class="run"`},
		"/jobs/widgets/app/1003/1":         {"failure", "1 of 42 tests failed\nProcess"},
		"/pools":                           {"half waited", `id="small"`, `class="edge"`},
		"/runners":                         {"k3v9qz", "busy"},
		"/runners?all=1":                   {"done", `rel="next"`},
		"/runners/k3v9qz-large-1003-1-1":   {"What it printed last", "Process completed with exit code 1."},
		"/events":                          {"completed acme/infra/", "workflow_job", `rel="next"`},
		"/events/event-2":                  {"&#34;action&#34;: &#34;queued&#34;"},
		"/letters":                         {"the ledger did not take it", "workflow_job.id is missing", "Log in"},
		"/image":                           {current.Short(), "2.335.0", "History"},
		"/login":                           {`type="password"`},
	} {
		code, text := v.get(t, path)
		has(t, path, code, http.StatusOK, text, parts...)
		if strings.Contains(text, "\x1b") || strings.Contains(text, " style=") || strings.Contains(text, "<b>bold") || strings.Contains(text, "ZgotmplZ") {
			t.Errorf("%s has a control character, an inline style, or something unescaped", path)
		}
	}
	for path, part := range map[string]string{
		"/jobs/acme/web/99/1": "not in the ledger", "/jobs/nonsense": "key", "/runners/nobody": "not in the ledger", "/events/none": "is not in the log",
	} {
		code, text := v.get(t, path)
		has(t, path, code, http.StatusNotFound, text, part)
	}
	for _, path := range []string{"/jobs?since=never", "/jobs?state=odd", "/jobs?after=x", "/events?pattern=" + url.QueryEscape(`{"a":`)} {
		code, text := v.get(t, path)
		has(t, path, code, http.StatusBadRequest, text)
	}
}

// TestWaterfallOfWait: the time of a job that waits is its own, not that of a runner that is gone.
func TestWaterfallOfWait(t *testing.T) {
	w := open(t, here())
	w.fill(t, 60, 0)
	code, text := w.visitor(t).get(t, "/jobs/widgets/app/1059/1")
	has(t, "a waiting job", code, http.StatusOK, text, "held", "so far", "was not needed")
	if strings.Contains(text, ">listening<") {
		t.Error("a runner that is gone listens")
	}
}

// TestJobPages goes through all jobs page by page, and meets each once, the newest first.
func TestJobPages(t *testing.T) {
	w := open(t, here())
	w.fill(t, 130, 0)
	v, seen, path := w.visitor(t), 0, "/jobs?repository=acme/"
	for pages := 0; path != ""; pages++ {
		if pages > 5 {
			t.Fatal("the pages do not end")
		}
		_, text := v.get(t, path)
		seen += strings.Count(text, "<tr data-key=")
		_, rest, more := strings.Cut(text, `<a href="/jobs?after=`)
		if path = ""; more {
			next, _, _ := strings.Cut(rest, `"`)
			path = "/jobs?after=" + strings.ReplaceAll(next, "&amp;", "&")
		}
	}
	if want := 130 * 3 / 4; seen < want || seen > want+1 {
		t.Errorf("%d jobs on all pages, want those of acme, about %d", seen, want)
	}
}

// TestEventSearch: a pattern looks at some events at a time, and goes on where it ended.
func TestEventSearch(t *testing.T) {
	w := open(t, here())
	w.fill(t, 800, 3)
	v := w.visitor(t)
	path := "/events?pattern=" + url.QueryEscape(`{"detail":{"workflow_job":{"id":[1000]}}}`)
	code, text := v.get(t, path)
	has(t, path, code, http.StatusOK, text, "No event among these", "searched 1000 events", "before=1401")
	code, text = v.get(t, path+"&before=1001")
	has(t, path, code, http.StatusOK, text, "event-1", "event-3")
	if strings.Contains(text, "event-4\"") {
		t.Error("an event that does not match is on the page")
	}
}

// TestActions: what was given up is delivered again, or routed again, by whom has the token, and
// by a form of the session only.
func TestActions(t *testing.T) {
	w := open(t, here())
	w.trouble(t)
	old, _ := w.images(t)
	v := w.visitor(t)
	retry := url.Values{"event": {"lost-1"}, "rule": {"jobs"}, "back": {"/letters"}}
	if code, _ := v.post(t, "/letters/retry", retry); code != http.StatusUnauthorized {
		t.Errorf("without a login: %d", code)
	}
	if code, text := v.post(t, "/login", url.Values{"token": {"a guess"}}); code != http.StatusUnauthorized || !strings.Contains(text, "not the token") {
		t.Errorf("a wrong token: %d", code)
	}
	form := v.login(t)
	if code, _ := v.post(t, "/letters/retry", retry); code != http.StatusForbidden {
		t.Errorf("without the session's form: %d", code)
	}
	retry.Set("form", form)
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
		if code, _ := v.post(t, "/letters/retry", retry, header...); code != http.StatusForbidden {
			t.Errorf("from another site (%v): %d", header, code)
		}
	}
	code, text := v.post(t, "/letters/retry", retry, "Sec-Fetch-Site", "same-origin")
	has(t, "/letters/retry", code, http.StatusOK, text, "1 dead letter was put back for delivery.")
	code, text = v.post(t, "/letters/retry", retry)
	has(t, "/letters/retry again", code, http.StatusUnprocessableEntity, text, "not there any longer")
	code, text = v.post(t, "/quarantine/release", url.Values{"form": {form}, "event": {"held-1"}})
	has(t, "/quarantine/release", code, http.StatusUnprocessableEntity, text, "still cannot be routed")
	code, text = v.post(t, "/quarantine/drop", url.Values{"form": {form}, "event": {"held-1"}, "back": {"//evil.example"}})
	has(t, "/quarantine/drop", code, http.StatusOK, text, "1 delivery was dropped.", "<h1>Overview</h1>")
	code, text = v.post(t, "/image/rollback", url.Values{"form": {form}, "back": {"/image"}})
	has(t, "/image/rollback", code, http.StatusOK, text, "Current is "+old.Short(), "rolled back on the page")
	v.post(t, "/logout", nil)
	if code, _ := v.post(t, "/letters/retry", retry); code != http.StatusUnauthorized {
		t.Errorf("after logging out: %d", code)
	}
}

// TestNoToken: where there is no token, nobody acts.
func TestNoToken(t *testing.T) {
	w := open(t, web.Access{Loopback: true})
	v := w.visitor(t)
	code, text := v.post(t, "/letters/retry", url.Values{"form": {""}})
	has(t, "/letters/retry", code, http.StatusForbidden, text, "page.token")
	if code, _ := v.post(t, "/login", url.Values{"token": {""}}); code != http.StatusUnauthorized {
		t.Errorf("logging in without a token: %d", code)
	}
}

// TestGuards: a page answers to its own names and to its own pages only.
func TestGuards(t *testing.T) {
	for _, test := range []struct {
		name   string
		access web.Access
		header []string
		want   int
	}{
		{"this machine", here(), nil, 200},
		{"localhost, forwarded to another port", here(), []string{"Host", "localhost:9000"}, 200},
		{"a name that was bound to loopback", here(), []string{"Host", "evil.example:8081"}, 421},
		{"another address", here(), []string{"Host", "192.0.2.1"}, 421},
		{"no name", here(), []string{"Host", "[::1]:1"}, 200},
		{"through a proxy", here(), []string{"X-Forwarded-For", "192.0.2.1"}, 403},
		{"an image of another site", here(), []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 403},
		{"a frame of another site", here(), []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		{"a link on another site", here(), []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		{"elsewhere", web.Access{Token: secret.New(token)}, nil, 401},
		{"where jobs reach loopback", web.Access{Loopback: true, Jobs: true, Token: secret.New(token)}, nil, 401},
		{"by name", web.Access{Loopback: true, Token: secret.New(token), Hosts: []string{"ci.example"}}, []string{"Host", "CI.example"}, 401},
		{"by another name", web.Access{Loopback: true, Token: secret.New(token), Hosts: []string{"ci.example"}}, []string{"Host", "other.example"}, 421},
		{"named by the proxy", proxied("127.0.0.1/32"), []string{"X-User", "ann"}, 200},
		{"not named by the proxy", proxied("127.0.0.1/32"), nil, 401},
		{"named by somebody else", proxied("192.0.2.0/24"), []string{"X-User", "ann"}, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := open(t, test.access)
			if code, text := w.visitor(t).get(t, "/", test.header...); code != test.want {
				t.Errorf("answered %d, want %d: %.200s", code, test.want, text)
			}
		})
	}
}

func proxied(from string) web.Access {
	return web.Access{Loopback: true, Header: "X-User", Proxies: []netip.Prefix{netip.MustParsePrefix(from)}}
}

// TestWrongTokens: guessing ends soon.
func TestWrongTokens(t *testing.T) {
	v := open(t, here()).visitor(t)
	for range 10 {
		v.post(t, "/login", url.Values{"token": {"a guess"}})
	}
	if code, _ := v.post(t, "/login", url.Values{"token": {token}}); code != http.StatusTooManyRequests {
		t.Errorf("the eleventh: %d", code)
	}
}

// TestHeaders: nothing but what this page serves is loaded, and nothing is kept by caches.
func TestHeaders(t *testing.T) {
	w := open(t, here())
	resp, err := http.Get(w.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	policy := resp.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers are %v", resp.Header)
	}
}

// TestLive: a page that is asked for as an event stream comes at once, and again when it changes.
func TestLive(t *testing.T) {
	w := open(t, here())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/jobs", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	wait := func(part string) {
		t.Helper()
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data: ") && strings.Contains(lines.Text(), part) {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", part, lines.Err())
	}
	wait("No job is like that.")
	w.fill(t, 1, 0)
	wait("lint")
}

// TestNothingOpened: a page that nobody has asked for has opened nothing.
func TestNothingOpened(t *testing.T) {
	page := web.New(web.Config{Access: here()}) // Open is nil: to call it would panic
	if err := page.Close(); err != nil {
		t.Error(err)
	}
}

// mainOf is what is inside the layout.
func mainOf(page string) string {
	_, inside, _ := strings.Cut(page, "<main")
	inside, _, _ = strings.Cut(inside, "</main>")
	return inside
}
