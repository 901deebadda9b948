package githubsim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object on its way out. Nobody changes it after it was given away.
type object = map[string]any

// A call is one request of the REST API, answered under Sim.mu.
type call struct {
	*http.Request
	web   string      // address of the Sim
	cred  *credential // who asks
	scope scope       // what the path names; of scoped routes
}

// api gives the base of API addresses in answers.
func (c call) api() string { return c.web + "/api/v3" }

// A reply is the answer to a call.
type reply struct {
	code   int
	body   any // nil: none
	header map[string]string
}

type handler func(call) reply

// maxBody is how long a request's JSON may be, in bytes.
const maxBody = 1 << 20

func ok(body any) reply      { return reply{code: http.StatusOK, body: body} }
func created(body any) reply { return reply{code: http.StatusCreated, body: body} }
func noContent() reply       { return reply{code: http.StatusNoContent} }
func notFound() reply        { return refusal(http.StatusNotFound, "Not Found") }

// refusal gives an error as GitHub words it.
func refusal(code int, message string) reply {
	return reply{code: code, body: object{
		"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(code),
	}}
}

// unprocessable is a 422, with the list of errors that GitHub sends.
func unprocessable(message string, details ...string) reply {
	body := object{"message": message, "documentation_url": "https://docs.github.com/rest"}
	if len(details) > 0 {
		body["errors"] = details
	}
	return reply{code: http.StatusUnprocessableEntity, body: body}
}

// decode reads the body of c into v, a pointer. An empty body leaves v alone.
func (c call) decode(v any) bool {
	if c.ContentLength == 0 {
		return true
	}
	return json.NewDecoder(http.MaxBytesReader(nil, c.Body, maxBody)).Decode(v) == nil
}

func badJSON() reply { return refusal(http.StatusBadRequest, "Problems parsing JSON") }

func writeReply(w http.ResponseWriter, r reply) {
	for k, v := range r.header {
		w.Header().Set(k, v)
	}
	if r.body == nil {
		w.WriteHeader(r.code)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(r.code)
	_ = json.NewEncoder(w).Encode(r.body) // whoever asked has gone
}

// asToken adds a route for callers with an API token.
func (s *Sim) asToken(pattern string, h handler) { s.route(pattern, h, false) }

// asScope adds a route under a repository, an organisation or the enterprise.
func (s *Sim) asScope(pattern string, h handler) { s.route(pattern, s.inScope(h), false) }

// asReader adds a route under a repository for callers that may read it.
func (s *Sim) asReader(pattern string, h handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		writeReply(w, s.locked(func() reply {
			cred := s.credential(r)
			if cred == nil && bearer(r) != "" {
				return unauthorized(r)
			}
			return s.limited(w, call{Request: r, web: s.base(r), cred: cmp.Or(cred, s.anybody(r))}, s.readable(h))
		}))
	})
}

// asRunner is asScope, also for holders of a registration or remove token of the scope.
func (s *Sim) asRunner(pattern string, h handler) { s.route(pattern, s.inScope(h), true) }

// asApp adds a route for the App itself.
func (s *Sim) asApp(pattern string, h handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		writeReply(w, s.locked(func() reply {
			if why := s.appAsks(r); why != "" {
				return refusal(http.StatusUnauthorized, why)
			}
			return s.limited(w, call{Request: r, web: s.base(r), cred: s.creds[appDigest]}, h)
		}))
	})
}

func (s *Sim) route(pattern string, h handler, runners bool) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		writeReply(w, s.locked(func() reply {
			cred := s.credential(r)
			if cred == nil && runners {
				cred = s.registrationCredential(r)
			}
			if cred == nil {
				return unauthorized(r)
			}
			return s.limited(w, call{Request: r, web: s.base(r), cred: cred}, h)
		}))
	})
}

// locked runs f under mu.
func (s *Sim) locked(f func() reply) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

func unauthorized(r *http.Request) reply {
	if bearer(r) == "" {
		return refusal(http.StatusUnauthorized, "Requires authentication")
	}
	return refusal(http.StatusUnauthorized, "Bad credentials")
}

// limited answers c unless its credential has used up its hour, and says in
// headers how much is left.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
func (s *Sim) limited(w http.ResponseWriter, c call, h handler) reply {
	now := s.now()
	if !now.Before(c.cred.reset) {
		c.cred.used, c.cred.reset = 0, now.Add(time.Hour)
	}
	limit := cmp.Or(c.cred.limit, s.cfg.RateLimit)
	refused := c.cred.used >= limit
	if !refused {
		c.cred.used++
	}
	for k, v := range map[string]int64{
		"Limit": int64(limit), "Used": int64(c.cred.used),
		"Remaining": int64(limit - c.cred.used), "Reset": c.cred.reset.Unix(),
	} {
		w.Header().Set("X-RateLimit-"+k, strconv.FormatInt(v, 10))
	}
	w.Header().Set("X-RateLimit-Resource", "core")
	w.Header().Set("X-GitHub-Api-Version-Selected", "2022-11-28")
	if refused {
		return refusal(http.StatusForbidden, "API rate limit exceeded")
	}
	return h(c)
}

// inScope finds the scope that the path names. What does not exist and what the
// credential may not see are both 404, as at GitHub.
func (s *Sim) inScope(h handler) handler {
	return func(c call) reply {
		switch {
		case c.PathValue("repo") != "":
			c.scope.repo = s.repository(c.PathValue("owner") + "/" + c.PathValue("repo"))
			if c.scope.repo == nil {
				return s.redirect(c)
			}
		case c.PathValue("org") != "":
			c.scope.owner = s.accounts[strings.ToLower(c.PathValue("org"))]
			if c.scope.owner == nil || c.scope.owner.user {
				return notFound()
			}
		case s.cfg.Enterprise == "" || !strings.EqualFold(c.PathValue("enterprise"), s.cfg.Enterprise):
			return notFound()
		}
		switch {
		case c.cred.sees(c.scope):
			return h(c)
		case c.cred.job != nil && c.scope.repo != nil && c.cred.mayRead(c.scope.repo):
			return refusal(http.StatusForbidden, "Resource not accessible by integration")
		}
		return notFound()
	}
}

// readable finds the repository that the path names, if the credential may read it.
func (s *Sim) readable(h handler) handler {
	return func(c call) reply {
		c.scope.repo = s.repository(c.PathValue("owner") + "/" + c.PathValue("repo"))
		if c.scope.repo == nil || !c.cred.mayRead(c.scope.repo) {
			return notFound()
		}
		return h(c)
	}
}

// id reads a number of the path; 0 if it is none.
func (c call) id(name string) int64 {
	n, err := strconv.ParseInt(c.PathValue(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// page cuts items down to the page that c asks for, and gives the Link header.
// https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
func page[T any](c call, items []T) ([]T, map[string]string) {
	size, number := c.number("per_page", 30, 100), c.number("page", 1, 1<<30)
	last := max(1, (len(items)+size-1)/size)
	var links []string
	link := func(rel string, n int) {
		q := c.URL.Query()
		q.Set("page", strconv.Itoa(n))
		links = append(links, c.link(rel, q))
	}
	if number > 1 {
		link("prev", number-1)
		link("first", 1)
	}
	if number < last {
		link("next", number+1)
		link("last", last)
	}
	from := min((number-1)*size, len(items))
	return items[from:min(from+size, len(items))], linkHeader(links)
}

// number reads a positive number of the query, at most limit.
func (c call) number(name string, otherwise, limit int) int {
	n, err := strconv.Atoi(c.URL.Query().Get(name))
	if err != nil || n < 1 {
		return otherwise
	}
	return min(n, limit)
}

// link gives one entry of a Link header: this path with another query.
func (c call) link(rel string, q url.Values) string {
	return fmt.Sprintf(`<%s%s?%s>; rel="%s"`, c.api(), c.URL.Path, q.Encode(), rel)
}

func linkHeader(links []string) map[string]string {
	if len(links) == 0 {
		return nil
	}
	return map[string]string{"Link": strings.Join(links, ", ")}
}

// timestamp gives t as the API does, null for the zero time.
func timestamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
