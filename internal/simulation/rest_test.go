package simulation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A line leads from a process to GitHub's API.
type line struct{ p *process }

// RoundTrip makes a call, which takes time both ways; GitHub may refuse it, and its answer may be lost.
func (l line) RoundTrip(req *http.Request) (*http.Response, error) {
	w := l.p.world
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	if !w.step(l.p) || !w.elapse(l.p, w.span("request", 20*time.Millisecond, 300*time.Millisecond)) {
		if w.chance("request is under way", 50) { // GitHub does it all the same, and may take its time
			w.there(w.span("late request", time.Millisecond, time.Minute), func() { w.github.serveLate(req) })
		}
		return nil, errPower
	}
	if no := w.github.refuse(); no != nil {
		return no.response(w, req), nil
	}
	answer := w.github.serve(req)
	w.note("%s %s: %d", req.Method, req.URL.Path, answer.status)
	lost := w.github.weatherIs("answers are lost") && w.chance("answer is lost in bad weather", 40) || w.chance("answer is lost", 1)
	if !w.step(l.p) || !w.elapse(l.p, w.span("answer", 20*time.Millisecond, 300*time.Millisecond)) {
		return nil, errPower
	}
	if lost {
		return nil, errors.New("connection reset by peer")
	}
	return answer.response(w, req), nil
}

// An answer is one of the API.
type answer struct {
	status int
	body   any
	header map[string]string
}

func (a answer) response(w *world, req *http.Request) *http.Response {
	body, err := json.Marshal(a.body)
	if err != nil {
		panic(err)
	}
	res := &http.Response{
		StatusCode: a.status, Status: fmt.Sprint(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {truly(w.now).Format(http.TimeFormat)}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	for name, value := range a.header {
		res.Header.Set(name, value)
	}
	return res
}

func message(status int, text string) answer {
	return answer{status: status, body: map[string]any{"message": text}}
}

// weatherIs reports whether there is a spell of kind.
func (g *hub) weatherIs(kind string) bool {
	return !g.calm && slices.ContainsFunc(g.weather, func(s spell) bool { return s.kind == kind && g.now < s.until })
}

// refuse returns the answer of a GitHub that does nothing, nil when it works.
func (g *hub) refuse() *answer {
	var no answer
	switch {
	case g.weatherIs("down"):
		no = message([]int{500, 502, 503}[g.pick("down", 3)], "Server Error")
	case g.weatherIs("limited"):
		seconds := 1
		for _, s := range g.weather {
			if s.kind == "limited" && g.now < s.until {
				seconds = int((s.until - g.now).Seconds()) + 1
			}
		}
		no = message([]int{403, 429}[g.pick("limited", 2)], "You have exceeded a secondary rate limit")
		no.header = map[string]string{"Retry-After": strconv.Itoa(seconds)}
	case g.chance("call fails", 1):
		no = message(502, "Server Error")
	default:
		return nil
	}
	return &no
}

// The calls that Mayfly makes, and what answers them.
var routes = []struct {
	method string
	path   *regexp.Regexp
	serve  func(g *hub, req *http.Request, m []string) answer
}{
	{"POST", regexp.MustCompile(`^/api/v3/repos/(\w+/\w+)/actions/runners/generate-jitconfig$`), (*hub).generateJIT},
	{"GET", regexp.MustCompile(`^/api/v3/repos/(\w+/\w+)/actions/runners$`), (*hub).listRunners},
	{"DELETE", regexp.MustCompile(`^/api/v3/repos/(\w+/\w+)/actions/runners/(\d+)$`), (*hub).deleteRunner},
	{"GET", regexp.MustCompile(`^/api/v3/repos/(\w+/\w+)/actions/jobs/(\d+)$`), (*hub).showJob},
	{"GET", regexp.MustCompile(`^/api/v3/repos/(\w+/\w+)/actions/runs$`), (*hub).listRuns},
	{"GET", regexp.MustCompile(`^/api/v3/repos/(\w+/\w+)/actions/runs/(\d+)/jobs$`), (*hub).listJobs},
	{"GET", regexp.MustCompile(`^/api/v3/orgs/acme/repos$`), (*hub).listRepositories},
	{"GET", regexp.MustCompile(`^/api/v3/orgs/acme/hooks$`), (*hub).listHooks},
	{"GET", regexp.MustCompile(`^/api/v3/orgs/acme/hooks/1/deliveries$`), (*hub).listDeliveries},
	{"POST", regexp.MustCompile(`^/api/v3/orgs/acme/hooks/1/deliveries/(\d+)/attempts$`), (*hub).redeliver},
}

func (g *hub) serve(req *http.Request) answer {
	path := g.current(req.URL.Path)
	if id := g.moved[repositoryOf(path)]; id > 0 {
		return g.redirect(req, path, id)
	}
	for _, r := range routes {
		if m := r.path.FindStringSubmatch(path); m != nil && r.method == req.Method {
			return r.serve(g, req, m)
		}
	}
	g.fault("call of %s %s, which is not GitHub's", req.Method, req.URL)
	return message(404, "Not Found")
}

const underRepositories = "/api/v3/repositories/" // and there under an id

// current is path with the name of the repository that it gives the id of.
func (g *hub) current(path string) string {
	rest, byID := strings.CutPrefix(path, underRepositories)
	if !byID {
		return path
	}
	id, rest, _ := strings.Cut(rest, "/")
	n, _ := strconv.Atoi(id)
	if n < 1 || n > len(g.names) {
		return path
	}
	return "/api/v3/repos/" + g.names[n-1] + "/" + rest
}

// repositoryOf returns the owner/name in a path; "" if there is none.
func repositoryOf(path string) string {
	parts := strings.SplitN(strings.TrimPrefix(path, "/api/v3/repos/"), "/", 3)
	if !strings.HasPrefix(path, "/api/v3/repos/") || len(parts) < 3 {
		return ""
	}
	return parts[0] + "/" + parts[1]
}

// redirect answers a call about a repository under a name that it had before.
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
func (g *hub) redirect(req *http.Request, path string, id int64) answer {
	to := *req.URL
	to.Path = fmt.Sprintf("%s%d%s", underRepositories, id, strings.TrimPrefix(path, "/api/v3/repos/"+repositoryOf(path)))
	a := message(http.StatusTemporaryRedirect, "Moved Permanently")
	if req.Method == http.MethodGet {
		a.status = http.StatusMovedPermanently
	}
	a.header = map[string]string{"Location": to.String()}
	return a
}

// serveLate does what a process asked for that was killed since.
func (g *hub) serveLate(req *http.Request) {
	g.late = true
	defer func() { g.late = false }()
	g.note("%s %s, late: %d", req.Method, req.URL.Path, g.serve(req).status)
}

func (g *hub) generateJIT(req *http.Request, m []string) answer {
	var in struct {
		Name   string
		Labels []string
	}
	if err := json.NewDecoder(req.Body).Decode(&in); err != nil {
		return message(400, err.Error())
	}
	for _, r := range g.runners {
		if r.name == in.Name && r.repository == m[1] {
			return message(409, "Already exists")
		}
	}
	if !g.late { // or whoever asked has been killed since
		g.claimed(in.Name, in.Labels)
	}
	g.last++
	r := &registration{id: g.last, name: in.Name, repository: m[1], labels: in.Labels}
	g.runners[r.id] = r
	return answer{status: 201, body: map[string]any{"runner": r.shape(), "encoded_jit_config": strconv.FormatInt(r.id, 10)}}
}

func (r *registration) shape() map[string]any {
	labels := []any{}
	for _, l := range r.labels {
		labels = append(labels, map[string]any{"name": l})
	}
	status := "offline"
	if r.box != nil {
		status = "online"
	}
	return map[string]any{"id": r.id, "name": r.name, "os": "linux", "status": status, "busy": r.job != nil, "labels": labels}
}

func (g *hub) listRunners(req *http.Request, m []string) answer {
	list := []any{}
	for _, id := range sorted(g.runners) {
		r := g.runners[id]
		if name := req.URL.Query().Get("name"); r.repository == m[1] && (name == "" || name == r.name) {
			list = append(list, r.shape())
		}
	}
	return answer{status: 200, body: map[string]any{"total_count": len(list), "runners": list}}
}

// deleteRunner is refused while the runner has a job.
func (g *hub) deleteRunner(_ *http.Request, m []string) answer {
	id, _ := strconv.ParseInt(m[2], 10, 64)
	r := g.runners[id]
	switch {
	case r == nil || r.repository != m[1]:
		return message(404, "Not Found")
	case r.job != nil:
		return message(422, "Runner is currently running a job and cannot be deleted.")
	}
	delete(g.runners, id)
	if r.box != nil && r.box.running {
		r.box.endSoon(1, "terminated error")
	}
	return answer{status: 204}
}

func (g *hub) find(repository, id string) *job {
	n, _ := strconv.Atoi(id)
	if n < 1 || n > len(g.jobs) || g.jobs[n-1].repository != repository {
		return nil
	}
	return g.jobs[n-1]
}

func (g *hub) showJob(_ *http.Request, m []string) answer {
	j := g.find(m[1], m[2])
	if j == nil {
		return message(404, "Not Found")
	}
	return answer{status: 200, body: j.shape()}
}

func (g *hub) listRepositories(*http.Request, []string) answer {
	list := []any{}
	for _, name := range g.names {
		list = append(list, map[string]any{"full_name": name, "owner": map[string]any{"login": "acme", "type": "Organization"}, "pushed_at": stamp(g.now)})
	}
	return answer{status: 200, body: list}
}

// listRuns has the newest first, also of those that were run again, and as many at once as is asked for.
// https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
func (g *hub) listRuns(req *http.Request, m []string) answer {
	list := []any{}
	status, most := req.URL.Query().Get("status"), 30
	if n, err := strconv.Atoi(req.URL.Query().Get("per_page")); err == nil {
		most = min(n, 100)
	}
	for _, j := range slices.Backward(g.jobs) {
		if state := g.runStatus(j.run); len(list) < most && j.id == j.run && j.repository == m[1] && (status == "" || state == status) {
			list = append(list, map[string]any{
				"id": j.run, "status": state, "repository": map[string]any{"owner": map[string]any{"login": "acme", "type": "Organization"}},
			})
		}
	}
	return answer{status: 200, body: map[string]any{"total_count": len(list), "workflow_runs": list}}
}

// runStatus is that of the first of its jobs that is not over.
func (g *hub) runStatus(run int64) string {
	for _, j := range g.jobs {
		if j.run == run && j.status != "completed" {
			return j.status
		}
	}
	return "completed"
}

// listJobs has those of the run's last attempt.
func (g *hub) listJobs(_ *http.Request, m []string) answer {
	run, last, list := g.find(m[1], m[2]), 0, []any{}
	if run == nil || run.id != run.run {
		return message(404, "Not Found")
	}
	for _, j := range g.jobs {
		if j.run == run.id {
			last = max(last, j.attempt)
		}
	}
	for _, j := range g.jobs {
		if j.run == run.id && j.attempt == last {
			list = append(list, j.shape())
		}
	}
	return answer{status: 200, body: map[string]any{"total_count": len(list), "jobs": list}}
}

func (g *hub) listHooks(*http.Request, []string) answer {
	return answer{status: 200, body: []any{map[string]any{"id": 1, "active": true, "config": map[string]any{"url": hookURL}}}}
}

// listDeliveries has the newest first, a few at once, so that there are pages.
func (g *hub) listDeliveries(req *http.Request, _ []string) answer {
	from := len(g.deliveries)
	if at, err := strconv.Atoi(req.URL.Query().Get("cursor")); err == nil {
		from = at
	}
	list := []any{}
	for from > 0 && len(list) < 25 {
		from--
		d := g.deliveries[from]
		list = append(list, map[string]any{
			"id": d.id, "guid": d.guid, "event": "workflow_job", "status_code": d.code, "delivered_at": truly(d.at).Format(time.RFC3339Nano),
		})
	}
	a := answer{status: 200, body: list}
	if from > 0 {
		a.header = map[string]string{"Link": fmt.Sprintf(`<http://127.0.0.1:1/api/v3/orgs/acme/hooks/1/deliveries?cursor=%d>; rel="next"`, from)}
	}
	return a
}

func (g *hub) redeliver(_ *http.Request, m []string) answer {
	n, _ := strconv.Atoi(m[1])
	if n < 1 || n > len(g.deliveries) || g.now-g.deliveries[n-1].at > redeliverable {
		return message(404, "Not Found")
	}
	d := g.deliveries[n-1]
	g.there(g.span("redelivery", 200*time.Millisecond, 5*time.Second), func() { g.deliver(d, g.chance("redelivery is lost", 7)) })
	return answer{status: 202, body: map[string]any{}}
}

// sorted returns the keys of m in one order.
func sorted[V any](m map[int64]V) []int64 { return slices.Sorted(maps.Keys(m)) }
