package web

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Access says who may use a page. Whoever reaches a page on loopback may read it, unless it has
// hosts or a proxy, so that anybody may be behind a connection from loopback, or jobs reach loopback:
// then readers log in with the token or are named by the proxy. Whoever acts has to know the token,
// everywhere.
type Access struct {
	Loopback bool           // the page listens on loopback only
	Jobs     bool           // jobs reach that address: their pool shares the machine's network
	Hosts    []string       // names that browsers may call the page by, besides addresses and localhost
	Token    secret.Secret  // zero for none: then nobody can act
	Header   string         // in which a reverse proxy names the person; "" for no proxy
	Proxies  []netip.Prefix // from which the header counts
}

// Open reports whether no login is needed to read.
func (a Access) open() bool { return a.Loopback && !a.Jobs && len(a.Hosts) == 0 && a.Header == "" }

// An actor is who asks.
type actor struct {
	Name    string // by the proxy's word; "" without one
	Reads   bool
	Acts    bool   // has given the token
	CanAct  bool   // there is a token to give
	Form    string // what its forms carry, so that no other page can send them
	session string
}

type actorKey struct{}

func actorOf(r *http.Request) actor {
	a, _ := r.Context().Value(actorKey{}).(actor)
	return a
}

const (
	cookieName = "mayfly_session"
	sessionFor = 12 * time.Hour
)

// identified adds the actor to each request.
func (p *Page) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := p.identify(r)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, a)))
	})
}

func (p *Page) identify(r *http.Request) (a actor) {
	access := p.config.Access
	a.CanAct = !access.Token.IsZero()
	if p.fromProxy(r) {
		a.Name = r.Header.Get(access.Header)
	}
	if c, err := r.Cookie(cookieName); err == nil && a.CanAct && p.checkSession(c.Value) {
		a.Acts, a.session = true, c.Value
		a.Form = p.sign("form", a.session)
	}
	a.Reads = a.Acts || a.Name != "" || access.open()
	return a
}

// fromProxy reports whether the proxy's header counts in r.
func (p *Page) fromProxy(r *http.Request) bool {
	if p.config.Access.Header == "" {
		return false
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(p.config.Access.Proxies, func(n netip.Prefix) bool { return n.Contains(from.Addr().Unmap()) })
}

// sign returns a code of text, which only this page with this token can make. Other tokens make
// other codes, so that a rotation ends all sessions.
func (p *Page) sign(purpose, text string) string {
	mac := hmac.New(sha256.New, append([]byte(p.config.Access.Token.Reveal()), p.seal...))
	fmt.Fprintf(mac, "%s\n%s", purpose, text)
	return hex.EncodeToString(mac.Sum(nil))
}

// newSession returns the value of a session's cookie: when it ends, and the code of that.
func (p *Page) newSession(now time.Time) string {
	end := strconv.FormatInt(now.Add(sessionFor).Unix(), 10)
	return end + "." + p.sign("session", end)
}

func (p *Page) checkSession(value string) bool {
	end, code, _ := strings.Cut(value, ".")
	until, err := strconv.ParseInt(end, 10, 64)
	return err == nil && time.Now().Unix() < until && hmac.Equal([]byte(code), []byte(p.sign("session", end)))
}

// readers lets only those pass who may read.
func (p *Page) readers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case actorOf(r).Reads, r.URL.Path == "/login", strings.HasPrefix(r.URL.Path, "/assets/"):
			next.ServeHTTP(w, r)
		case r.Method == http.MethodGet && r.Header.Get("Accept") != "text/event-stream":
			w.Header().Set("Cache-Control", "no-store")
			p.render(w, r, p.loginView(r.URL.RequestURI(), "", http.StatusUnauthorized))
		default:
			http.Error(w, "log in first", http.StatusUnauthorized)
		}
	})
}

// acting returns a handler of an action, which needs the token and a form of this session.
func (p *Page) acting(do func(*request) (done string, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := actorOf(r)
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		switch err := r.ParseForm(); {
		case err != nil:
			http.Error(w, "the form could not be read", http.StatusBadRequest)
		case !a.CanAct:
			p.render(w, r, p.explain(&fault{http.StatusForbidden, "This page has no token, so nobody can act on it.", "Name one with page.token in mayfly.yaml, or use the command line."}))
		case !a.Acts:
			p.render(w, r, p.loginView(back(r), "Log in to do that.", http.StatusUnauthorized))
		case !hmac.Equal([]byte(r.PostFormValue("form")), []byte(a.Form)):
			p.render(w, r, p.explain(&fault{http.StatusForbidden, "This form is of another session.", "Go back, reload the page and try again."}))
		default:
			p.act(w, r, do)
		}
	})
}

// act carries out an action and goes back to where the form was.
func (p *Page) act(w http.ResponseWriter, r *http.Request, do func(*request) (string, error)) {
	source, err := p.open(r.Context())
	var done string
	if err == nil {
		done, err = do(&request{r, source, time.Now(), actorOf(r)})
	}
	if err != nil {
		p.render(w, r, p.explain(&fault{http.StatusUnprocessableEntity, err.Error(), hintOf(err)}))
		return
	}
	p.config.Log.Info("page: "+done, "path", r.URL.Path, "by", actorOf(r).Name)
	setNotice(w, done)
	http.Redirect(w, r, back(r), http.StatusSeeOther)
}

// noticeName is the cookie with what an action has done, for the next page to say.
const noticeName = "mayfly_notice"

func setNotice(w http.ResponseWriter, done string) {
	http.SetCookie(w, &http.Cookie{
		Name: noticeName, Value: hex.EncodeToString([]byte(done)), Path: "/", MaxAge: 20, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// takeNotice returns what the last action has done, once.
func takeNotice(w http.ResponseWriter, r *http.Request) string {
	c, err := r.Cookie(noticeName)
	if err != nil {
		return ""
	}
	http.SetCookie(w, &http.Cookie{Name: noticeName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	text, err := hex.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	return string(text)
}

// back is where a form came from: an address of this page, or else its front.
func back(r *http.Request) string {
	return cleanBack(r.PostFormValue("back"))
}

func (p *Page) loginView(to, wrong string, code int) view {
	return view{Name: "login", Title: "Log in", Code: code, Data: map[string]any{"Back": to, "Wrong": wrong, "CanAct": !p.config.Access.Token.IsZero(), "Header": p.config.Access.Header}}
}

// login shows the form.
func (p *Page) login(w http.ResponseWriter, r *http.Request) {
	p.render(w, r, p.loginView(cleanBack(r.URL.Query().Get("back")), "", 0))
}

func cleanBack(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

// enter takes the token and begins a session.
func (p *Page) enter(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if !p.limit.allow(time.Now()) {
		w.Header().Set("Retry-After", "60")
		p.render(w, r, p.loginView(back(r), "Too many wrong tokens: wait a minute.", http.StatusTooManyRequests))
		return
	}
	given := sha256.Sum256([]byte(strings.TrimSpace(r.PostFormValue("token"))))
	want := sha256.Sum256([]byte(p.config.Access.Token.Reveal()))
	if p.config.Access.Token.IsZero() || subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		p.limit.failed(time.Now())
		p.config.Log.Warn("page: wrong token", "from", r.RemoteAddr)
		p.render(w, r, p.loginView(back(r), "That is not the token.", http.StatusUnauthorized))
		return
	}
	p.setSession(w, r, p.newSession(time.Now()), int(sessionFor.Seconds()))
	http.Redirect(w, r, back(r), http.StatusSeeOther)
}

// leave ends the session of this browser.
func (p *Page) leave(w http.ResponseWriter, r *http.Request) {
	p.setSession(w, r, "", -1)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *Page) setSession(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}

// maxWrong is how many wrong tokens are taken in a minute, from all together.
const maxWrong = 10

// attempts counts wrong tokens. The zero value is ready for use.
type attempts struct {
	mu    sync.Mutex
	since time.Time // guarded by mu
	wrong int       // since then; guarded by mu
}

func (a *attempts) allow(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wrong < maxWrong || now.Sub(a.since) > time.Minute
}

func (a *attempts) failed(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.since) > time.Minute {
		a.since, a.wrong = now, 0
	}
	a.wrong++
}
