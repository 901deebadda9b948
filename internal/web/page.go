package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/ledger"
)

//go:embed templates assets
var files embed.FS

// parsed returns the templates.
var parsed = sync.OnceValues(func() (*template.Template, error) {
	return template.New("").Funcs(functions()).ParseFS(files, "templates/*.html")
})

// A request is one look at a page: what it reads, and who asks.
type request struct {
	*http.Request
	*inspect.Source
	now   time.Time
	actor actor
}

// A view is a template and what it shows.
type view struct {
	Name  string // of the template
	Title string
	Place string // of the page in the navigation
	Live  bool   // it changes by itself
	Data  any
	Code  int // HTTP status; 0 for 200
}

// A viewer makes a view.
type viewer func(*request) (view, error)

// A fault is an error of the person who asks, with what to do instead.
type fault struct {
	code       int
	what, hint string
}

func (f *fault) Error() string { return f.what }

// A frame is what the layout shows around a view.
type frame struct {
	view
	Main    template.HTML
	Actor   actor
	Version string
	Zone    string
	Path    string
	Notice  string // what the last action has done
}

// show returns a handler of one address. A browser's EventSource gets the changes of the same page.
func (p *Page) show(v viewer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "text/event-stream" {
			p.stream(w, r, v)
			return
		}
		p.render(w, r, p.look(r, v))
	})
}

// look makes a view, or one of the error.
func (p *Page) look(r *http.Request, v viewer) view {
	source, err := p.open(r.Context())
	if err != nil {
		return p.explain(err)
	}
	made, err := v(&request{r, source, time.Now(), actorOf(r)})
	if err != nil {
		return p.explain(err)
	}
	return made
}

// explain is the view of an error.
func (p *Page) explain(err error) view {
	f := &fault{code: http.StatusInternalServerError, what: err.Error()}
	switch {
	case errors.As(err, &f):
	case errors.Is(err, ledger.ErrNotFound):
		f = &fault{http.StatusNotFound, err.Error(), "Jobs and runners that ended are kept for 30 days."}
	case errors.Is(err, context.Canceled):
	default:
		f.hint = hintOf(err)
		p.config.Log.Error("page", "err", err)
	}
	return view{Name: "error", Title: http.StatusText(f.code), Data: map[string]string{"What": f.what, "Hint": f.hint}, Code: f.code}
}

// hintOf returns what err says to do; "" if it says nothing.
func hintOf(err error) string {
	var f *cli.Fault
	if errors.As(err, &f) {
		return f.Hint
	}
	return ""
}

// render writes a whole page.
func (p *Page) render(w http.ResponseWriter, r *http.Request, v view) {
	main, err := p.main(v, actorOf(r))
	var out bytes.Buffer
	if err == nil {
		zone, _ := time.Now().Zone()
		err = execute(&out, "layout", frame{v, template.HTML(main), actorOf(r), p.config.Version, zone, r.URL.RequestURI(), takeNotice(w, r)}) // #nosec: main is of a template
	}
	if err != nil {
		p.config.Log.Error("page", "view", v.Name, "err", err)
		http.Error(w, "this page could not be made; the log of mayfly says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v.Code != 0 {
		w.WriteHeader(v.Code)
	}
	_, _ = out.WriteTo(w)
}

// main renders what is inside the layout.
func (p *Page) main(v view, who actor) ([]byte, error) {
	var out bytes.Buffer
	err := execute(&out, v.Name, struct {
		view
		Actor actor
	}{v, who})
	return out.Bytes(), err
}

func execute(out *bytes.Buffer, name string, data any) error {
	t, err := parsed()
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(out, name, data)
}

// assets are the files of the page by name, each with the first digits of its hash, by which
// browsers keep it.
var assets = sync.OnceValue(func() map[string]string {
	names := map[string]string{}
	list, _ := files.ReadDir("assets")
	for _, f := range list {
		content, _ := files.ReadFile(path.Join("assets", f.Name()))
		sum := sha256.Sum256(content)
		names[f.Name()] = hex.EncodeToString(sum[:6])
	}
	return names
})

// assetURL is where an asset is.
func assetURL(name string) string { return "/assets/" + name + "?" + assets()[name] }

func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if assets()[name] == "" || strings.Contains(name, "/") {
		http.NotFound(w, r)
		return
	}
	if r.URL.RawQuery == assets()[name] {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeFileFS(w, r, files, path.Join("assets", name))
}
