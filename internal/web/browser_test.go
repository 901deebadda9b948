package web_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/machine"
	"github.com/mayfly-ci/mayfly/internal/pool"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// axe finds what keeps people from using a page: https://github.com/dequelabs/axe-core
//
//go:embed testdata/axe/axe.min.js
var axe string

// A browser is Chromium, without a screen, which reaches this machine only.
type browser struct {
	ctx context.Context
	mu  sync.Mutex
	bad []string // what the console said; guarded by mu
}

func browse(t *testing.T) *browser {
	t.Helper()
	b := &browser{}
	started, stop := chromedp.NewExecAllocator(t.Context(), chromedp.ExecPath(chromium(t)), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.WSURLReadTimeout(time.Minute))
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(started, chromedp.WithListener(b.hear))
	t.Cleanup(cancel)
	b.ctx = ctx
	b.do(t, chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, cdplog.Enable, cdp.Empty{})
		return err
	}))
	return b
}

// hear keeps what the console says that somebody should look at.
func (b *browser) hear(e any) {
	switch e := e.(type) {
	case *cdplog.EventEntryAdded:
		if level := string(e.Entry.Level); level == "error" || level == "warning" {
			b.complain(e.Entry.Text + " " + e.Entry.URL)
		}
	case *cdpruntime.EventExceptionThrown:
		b.complain(fmt.Sprintf("%+v", e.ExceptionDetails))
	case *cdpruntime.EventConsoleAPICalled:
		b.complain(fmt.Sprint("console.", e.Type))
	}
}

// chromium finds the program. Debian's wrapper of it starts through a shell.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/lib/chromium/chromium", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	tooltest.Lacking(t, "chromium is not installed: scripts/setup test installs it")
	return ""
}

func (b *browser) complain(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad = append(b.bad, what)
}

// quiet fails if the console has said anything.
func (b *browser) quiet(t *testing.T, where string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range b.bad {
		t.Errorf("%s: the console says %s", where, what)
	}
	b.bad = nil
}

// patience bounds each step: the machine may be busy.
const patience = time.Minute

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// ask evaluates a script.
func ask[T any](t *testing.T, b *browser, script string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// until waits for a script to be true. While a page is left for another, nothing is.
func (b *browser) until(t *testing.T, script string) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		v, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](script))
		if err == nil && v {
			return
		}
		if time.Now().After(end) {
			main, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
			t.Fatalf("never: %s (%v), in\n%s", script, err, main)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-b.ctx.Done():
			t.Fatal(b.ctx.Err())
		}
	}
}

// open opens a page.
func (b *browser) open(t *testing.T, address string) {
	t.Helper()
	b.do(t, chromedp.Navigate(address))
	b.until(t, `!!document.querySelector('h1') && document.readyState === 'complete'`)
}

// A screen is how somebody looks at a page.
type screen struct {
	name          string
	width, height int64
	scheme        string
}

func (s screen) set() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err1 := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: s.width, Height: s.height, DeviceScaleFactor: 1, Mobile: s.width < 600,
		})
		_, err2 := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}},
		})
		return errors.Join(err1, err2)
	})
}

// TestBrowser looks at every page in light and dark and at the widths of a phone and a tablet: the console is silent,
// axe finds nothing serious, nothing is wider than the screen, and the page says that it is live.
// With MAYFLY_SCREENSHOTS it keeps pictures in that folder.
func TestBrowser(t *testing.T) {
	w := open(t, here())
	w.trouble(t)
	w.fill(t, 400, 3)
	w.images(t)
	b := browse(t)
	pages := map[string]string{
		"overview": "/", "jobs": "/jobs", "job": "/jobs/widgets/app/1003/1", "waiting": "/jobs/widgets/app/1399/1", "pools": "/pools", "runners": "/runners", "runner": "/runners/k3v9qz-large-1003-1-1",
		"events": "/events", "event": "/events/event-2", "letters": "/letters", "image": "/image", "login": "/login", "none": "/jobs?q=nothing",
	}
	paper := map[string]string{}
	for _, s := range []screen{{"light", 1280, 1250, "light"}, {"dark", 1280, 1250, "dark"}, {"phone", 390, 1000, "light"}, {"tablet", 780, 1000, "dark"}} {
		for name, path := range pages {
			where := name + " " + s.name
			b.do(t, s.set())
			b.open(t, w.URL+path)
			if ask[bool](t, b, `!!document.querySelector('main[data-live]')`) {
				b.until(t, `document.getElementById('live').textContent === 'live'`)
			}
			if over := ask[int](t, b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				t.Errorf("%s: %d pixels wider than the screen: %s", where, over, ask[string](t, b, widest))
			}
			for _, f := range ask[[]string](t, b, axe+serious) {
				t.Errorf("%s: axe: %s", where, f)
			}
			b.quiet(t, where)
			paper[s.name] = ask[string](t, b, `getComputedStyle(document.body).backgroundColor`)
			b.picture(t, name+"-"+s.name)
		}
	}
	if paper["light"] == paper["dark"] {
		t.Errorf("dark is %s like light", paper["dark"])
	}
}

// serious returns what axe finds that is serious.
const serious = `;
axe.run({resultTypes: ['violations']}).then(r => r.violations.filter(v => v.impact === 'serious' || v.impact === 'critical')
	.map(v => v.id + ': ' + v.help + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary.slice(0, 200)).join(' | ')))`

// widest names what is wider than the screen.
const widest = `[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('nav')).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(' | ')`

// picture keeps what the browser shows.
func (b *browser) picture(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("MAYFLY_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Error(err)
	}
}

// TestBrowserFilters: choosing a state is enough, a page's keyboard begins with the way to its
// content, and a filter that somebody is typing survives the page's own changes.
func TestBrowserFilters(t *testing.T) {
	w := open(t, here())
	w.fill(t, 60, 0)
	b := browse(t)
	b.open(t, w.URL+"/jobs")
	b.do(t, chromedp.KeyEvent(kb.Tab))
	if first := ask[string](t, b, `document.activeElement.textContent`); first != "Skip to the content" {
		t.Errorf("the first tab reaches %q", first)
	}
	b.until(t, `document.getElementById('live').textContent === 'live'`)
	b.do(t, chromedp.SendKeys(`input[name=q]`, "unit"))
	w.fillOne(t, 70)
	b.until(t, `document.querySelector('main').textContent.includes('/1070/1')`)
	if typed := ask[string](t, b, `document.activeElement.name + '=' + document.activeElement.value`); typed != "q=unit" {
		t.Errorf("while the page changed, what was typed became %q", typed)
	}
	ask[bool](t, b, `const s = document.querySelector('select[name=state]'); s.value = 'failure'; s.dispatchEvent(new Event('change', {bubbles: true}))`)
	b.until(t, `location.search.includes('state=failure') && location.search.includes('q=unit') && document.readyState === 'complete'`)
	b.quiet(t, "filters")
}

// TestBrowserActs: somebody logs in, drops a dead letter after being asked, and reads that it is done.
func TestBrowserActs(t *testing.T) {
	w := open(t, here())
	w.trouble(t)
	b := browse(t)
	b.open(t, w.URL+"/login?back=/letters")
	b.do(t, chromedp.SendKeys("#token", token+kb.Enter))
	b.until(t, `!!document.querySelector('button[formaction="/letters/drop"]')`)
	ask[bool](t, b, `confirm = () => true; true`)
	b.do(t, chromedp.Click(`button[formaction="/letters/drop"]`))
	b.until(t, `!!document.querySelector('.said')`)
	if said := ask[string](t, b, `document.querySelector('.said').textContent`); said != "1 dead letter was dropped." {
		t.Errorf("the page says %q", said)
	}
	b.quiet(t, "acts")
}

// TestBrowserRehearsal watches a whole machine at work: a job that is pushed appears on the open
// page, its runner's output comes as it is printed, and the end shows, without a reload.
func TestBrowserRehearsal(t *testing.T) {
	tooltest.Need(t, "bwrap")
	s, err := rehearsal.Open(t.Context(), rehearsal.Config{
		Launcher: machine.Sandbox, State: t.TempDir(), Listen: "127.0.0.1:0", Repository: "acme/web", Log: slog.New(slog.DiscardHandler),
		Pools:    pool.Set{{Name: "small", Labels: []string{"linux", "small"}, Max: 4, Resources: pool.Resources{CPUs: 0.1, Memory: 256 << 20}}},
		Progress: func(string, ...any) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	page := pageOf(s.State(), here())
	server := serve(t, page)
	b := browse(t)
	b.open(t, server+"/runners")
	b.until(t, `document.getElementById('live').textContent === 'live'`)
	workflow, err := json.Marshal(map[string]any{"on": "push", "jobs": map[string]any{"hello": map[string]any{
		"runs-on": []string{"linux", "small"}, "steps": []map[string]string{{"run": "for i in $(seq 400); do echo tick $i; sleep 0.1; [ ! -e $HOME/stop ] || exit 0; done"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sim.Push(githubsim.Push{Repository: "acme/web", Files: map[string]string{".github/workflows/ci.yml": string(workflow)}}); err != nil {
		t.Fatal(err)
	}
	b.until(t, `document.querySelector('main').textContent.includes('busy')`)
	b.do(t, chromedp.Click(`main tbody a`))
	b.until(t, `!!document.querySelector('pre.output') && document.querySelector('pre.output').textContent.includes('Running job')`)
	b.quiet(t, "runner")
	b.open(t, server+"/")
	b.until(t, `document.querySelector('.lead').textContent.includes('1 job runs')`)
	b.picture(t, "rehearsal")
	if page := ask[string](t, b, `document.title`); !strings.HasPrefix(page, "Overview") {
		t.Errorf("the title is %q", page)
	}
	b.until(t, `document.querySelector('.lead').textContent.includes('No job runs')`)
	b.quiet(t, "overview")
}
