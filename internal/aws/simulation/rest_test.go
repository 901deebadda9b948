package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A reply is an answer of GitHub's API.
type reply struct {
	status int
	body   any
	header map[string]string
}

func says(status int, text string) reply {
	return reply{status: status, body: map[string]any{"message": text}}
}

func (a reply) response(req *http.Request) *http.Response {
	body, err := json.Marshal(a.body)
	if err != nil {
		panic(err)
	}
	res := &http.Response{
		StatusCode: a.status, Status: fmt.Sprint(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	for name, value := range a.header {
		res.Header.Set(name, value)
	}
	return res
}

// A limit is what GitHub grants an installation of the App, or the App itself.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
type limit struct {
	hour   time.Time // when the one that counts began
	used   int       // in it
	minute time.Time
	points map[string]int // in that minute, by endpoint
	atOnce int
	five   time.Time // when the five minutes began of which registrations count
	joined int
	until  time.Time // calls are refused before
}

var numbers = regexp.MustCompile(`/\d+`)

// enter counts a call, and refuses it when it is one too many. leave is called at its end.
func (h *hub) enter(req *http.Request) (leave func(), no *reply) {
	who := req.Header.Get("Authorization")
	if !strings.HasPrefix(who, "token ") {
		who = "the App"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tally.githubCalls++
	l := h.limits[who]
	if l == nil {
		l = &limit{points: map[string]int{}}
		h.limits[who] = l
	}
	l.atOnce++
	h.tally.githubAtOnce = max(h.tally.githubAtOnce, l.atOnce)
	leave = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		l.atOnce--
	}
	if no = l.refuse(req, time.Now()); no != nil {
		h.tally.githubRefused++
	}
	return leave, no
}

// refuse counts a call, and returns GitHub's answer to one too many.
func (l *limit) refuse(req *http.Request, now time.Time) *reply {
	if now.Sub(l.hour) >= time.Hour {
		l.hour, l.used = now, 0
	}
	if now.Sub(l.minute) >= time.Minute {
		l.minute = now
		clear(l.points)
	}
	if now.Sub(l.five) >= registrationsEvery {
		l.five, l.joined = now, 0
	}
	endpoint, cost := req.Method+numbers.ReplaceAllString(req.URL.Path, "/N"), 1
	if req.Method != http.MethodGet {
		cost = pointsOfWrite
	}
	joins := strings.HasSuffix(req.URL.Path, "/generate-jitconfig")
	l.used++
	l.points[endpoint] += cost
	if joins {
		l.joined++
	}
	wait := time.Duration(0)
	switch {
	case l.used > hourlyCalls:
		no := says(http.StatusForbidden, "API rate limit exceeded for installation.")
		no.header = map[string]string{"X-Ratelimit-Limit": strconv.Itoa(hourlyCalls), "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": strconv.FormatInt(l.hour.Add(time.Hour).Unix()+1, 10)}
		return &no
	case now.Before(l.until):
		wait = l.until.Sub(now)
	case l.points[endpoint] > minutePoints, l.atOnce > callsAtOnce:
		wait = retryAfter
	case joins && l.joined > registrationsMost:
		wait = l.five.Add(registrationsEvery).Sub(now)
	default:
		return nil
	}
	l.until = now.Add(wait)
	no := says(http.StatusForbidden, "You have exceeded a secondary rate limit.")
	no.header = map[string]string{"Retry-After": strconv.Itoa(int(wait.Seconds()) + 1)}
	return &no
}

// note adds to an answer what GitHub says of the hourly limit.
func (h *hub) note(req *http.Request, a *reply) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.limits[req.Header.Get("Authorization")]
	if l == nil {
		return
	}
	if a.header == nil {
		a.header = map[string]string{}
	}
	a.header["X-Ratelimit-Limit"] = strconv.Itoa(hourlyCalls)
	a.header["X-Ratelimit-Remaining"] = strconv.Itoa(max(hourlyCalls-l.used, 0))
	a.header["X-Ratelimit-Reset"] = strconv.FormatInt(l.hour.Add(time.Hour).Unix(), 10)
}

// The calls that Mayfly makes, and what answers them.
var routes = []struct {
	method string
	path   *regexp.Regexp
	serve  func(h *hub, req *http.Request, m []string) reply
}{
	{"GET", regexp.MustCompile(`^/orgs/(\w+)/installation$`), (*hub).showInstallation},
	{"GET", regexp.MustCompile(`^/repos/(\w+)/web/installation$`), (*hub).showInstallation},
	{"GET", regexp.MustCompile(`^/app/installations$`), (*hub).listInstallations},
	{"POST", regexp.MustCompile(`^/app/installations/(\d+)/access_tokens$`), (*hub).makeToken},
	{"POST", regexp.MustCompile(`^/orgs/(\w+)/actions/runners/generate-jitconfig$`), (*hub).generateJIT},
	{"GET", regexp.MustCompile(`^/orgs/(\w+)/actions/runners$`), (*hub).listRunners},
	{"DELETE", regexp.MustCompile(`^/orgs/(\w+)/actions/runners/(\d+)$`), (*hub).deleteRunner},
	{"GET", regexp.MustCompile(`^/repos/(\w+)/web/actions/jobs/(\d+)$`), (*hub).showJob},
	{"GET", regexp.MustCompile(`^/repos/(\w+)/web/actions/runs$`), (*hub).listRuns},
	{"GET", regexp.MustCompile(`^/repos/(\w+)/web/actions/runs/(\d+)/jobs$`), (*hub).listJobs},
	{"GET", regexp.MustCompile(`^/orgs/(\w+)/repos$`), (*hub).listRepositories},
	{"GET", regexp.MustCompile(`^/installation/repositories$`), (*hub).listInstalled},
	{"GET", regexp.MustCompile(`^/app$`), func(*hub, *http.Request, []string) reply {
		return reply{status: 200, body: map[string]any{"id": 1234, "events": []string{"workflow_job"}}}
	}},
	{"GET", regexp.MustCompile(`^/app/hook/config$`), func(*hub, *http.Request, []string) reply {
		return reply{status: 200, body: map[string]any{"url": hookURL}}
	}},
	{"GET", regexp.MustCompile(`^/orgs/(\w+)/hooks$`), func(*hub, *http.Request, []string) reply {
		return reply{status: 200, body: []any{map[string]any{"id": 1, "active": true, "config": map[string]any{"url": hookURL}}}}
	}},
	{"GET", regexp.MustCompile(`^/(?:orgs/\w+/hooks/1|app/hook)/deliveries$`), (*hub).listDeliveries},
	{"POST", regexp.MustCompile(`^/(?:orgs/\w+/hooks/1|app/hook)/deliveries/(\d+)/attempts$`), (*hub).redeliver},
}

func (h *hub) serve(req *http.Request) reply {
	for _, r := range routes {
		if m := r.path.FindStringSubmatch(req.URL.Path); m != nil && r.method == req.Method {
			return r.serve(h, req, m)
		}
	}
	h.faultLocked("call of %s %s, which GitHub is not simulated to have", req.Method, req.URL)
	return says(404, "Not Found")
}

func (h *hub) showInstallation(_ *http.Request, m []string) reply {
	return reply{status: 200, body: map[string]any{"id": idOf(m[1])}}
}

// idOf is the id of an organization's installation: 1 of org1.
func idOf(org string) int64 {
	id, _ := strconv.ParseInt(strings.TrimPrefix(org, "org"), 10, 64)
	return id
}

func (h *hub) listInstallations(*http.Request, []string) reply {
	list := []any{}
	for i := range h.orgs {
		list = append(list, map[string]any{"id": i + 1, "account": map[string]any{"login": fmt.Sprintf("org%d", i+1)}})
	}
	return reply{status: 200, body: list}
}

func (h *hub) makeToken(_ *http.Request, m []string) reply {
	return reply{status: 201, body: map[string]any{"token": "org" + m[1], "expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}}
}

// generateJIT registers a runner.
func (h *hub) generateJIT(req *http.Request, m []string) reply {
	var in struct{ Name string }
	if err := json.NewDecoder(req.Body).Decode(&in); err != nil {
		return says(400, err.Error())
	}
	if h.names[in.Name] != nil {
		return says(409, "Already exists - A runner with the name *** already exists.")
	}
	h.last++
	r := &registration{id: h.last, name: in.Name, org: m[1]}
	h.runners[r.id], h.names[r.name] = r, r
	h.tally.registrations++
	return reply{status: 201, body: map[string]any{"runner": r.shape(), "encoded_jit_config": strconv.FormatInt(r.id, 10)}}
}

func (r *registration) shape() map[string]any {
	status := "offline"
	if r.box != nil {
		status = "online"
	}
	return map[string]any{"id": r.id, "name": r.name, "os": "linux", "status": status, "busy": r.job != nil, "labels": []any{}}
}

func (h *hub) listRunners(req *http.Request, m []string) reply {
	var fit []*registration
	for _, id := range slices.Sorted(maps.Keys(h.runners)) {
		if r, name := h.runners[id], req.URL.Query().Get("name"); r.org == m[1] && (name == "" || name == r.name) {
			fit = append(fit, r)
		}
	}
	list, header := page(fit, req)
	shapes := []any{}
	for _, r := range list {
		shapes = append(shapes, r.shape())
	}
	return reply{status: 200, body: map[string]any{"total_count": len(fit), "runners": shapes}, header: header}
}

// page is the one of a list that req asks for.
func page[T any](all []T, req *http.Request) ([]T, map[string]string) {
	query := req.URL.Query()
	size, n := 30, 1
	if per, err := strconv.Atoi(query.Get("per_page")); err == nil {
		size = min(per, 100)
	}
	if at, err := strconv.Atoi(query.Get("page")); err == nil {
		n = at
	}
	from := min((n-1)*size, len(all))
	to := min(from+size, len(all))
	if to == len(all) {
		return all[from:], nil
	}
	query.Set("page", strconv.Itoa(n+1))
	next := *req.URL
	next.RawQuery = query.Encode()
	return all[from:to], map[string]string{"Link": fmt.Sprintf(`<%s>; rel="next"`, next.String())}
}

// deleteRunner is refused while the runner has a job.
func (h *hub) deleteRunner(_ *http.Request, m []string) reply {
	id, _ := strconv.ParseInt(m[2], 10, 64)
	r := h.runners[id]
	switch {
	case r == nil || r.org != m[1]:
		return says(404, "Not Found")
	case r.job != nil:
		return says(422, "Runner is currently running a job and cannot be deleted.")
	}
	delete(h.runners, id)
	delete(h.names, r.name)
	h.idle[r.org] = slices.DeleteFunc(h.idle[r.org], func(o *registration) bool { return o == r })
	if r.box != nil {
		r.box.fire()
	}
	return reply{status: 204}
}

func (h *hub) showJob(_ *http.Request, m []string) reply {
	id, _ := strconv.Atoi(m[2])
	if id < 1 || id > len(h.jobs) || h.jobs[id-1].org != m[1] {
		return says(404, "Not Found")
	}
	return reply{status: 200, body: h.jobs[id-1].shape()}
}

// listRuns has the newest first. Each job is a run of its own.
func (h *hub) listRuns(req *http.Request, m []string) reply {
	var all []any
	for _, j := range slices.Backward(h.jobs) {
		if status := req.URL.Query().Get("status"); j.org == m[1] && (status == "" || status == j.status) {
			all = append(all, map[string]any{"id": j.id, "status": j.status, "repository": map[string]any{"owner": map[string]any{"login": j.org, "type": "Organization"}}})
		}
	}
	list, header := page(all, req)
	return reply{status: 200, body: map[string]any{"total_count": len(all), "workflow_runs": list}, header: header}
}

func (h *hub) listJobs(req *http.Request, m []string) reply {
	a := h.showJob(req, m)
	if a.status == 200 {
		a.body = map[string]any{"total_count": 1, "jobs": []any{a.body}}
	}
	return a
}

func (h *hub) repository(org string) map[string]any {
	return map[string]any{"full_name": org + "/web", "owner": map[string]any{"login": org, "type": "Organization"}, "pushed_at": h.begun.UTC().Format(time.RFC3339)}
}

func (h *hub) listRepositories(_ *http.Request, m []string) reply {
	return reply{status: 200, body: []any{h.repository(m[1])}}
}

func (h *hub) listInstalled(req *http.Request, _ []string) reply {
	org := strings.TrimPrefix(req.Header.Get("Authorization"), "token ")
	return reply{status: 200, body: map[string]any{"total_count": 1, "repositories": []any{h.repository(org)}}}
}

// listDeliveries has the newest first.
func (h *hub) listDeliveries(req *http.Request, _ []string) reply {
	from := len(h.deliveries)
	if at, err := strconv.Atoi(req.URL.Query().Get("cursor")); err == nil {
		from = at
	}
	list := []any{}
	for from > 0 && len(list) < 100 {
		from--
		d := h.deliveries[from]
		list = append(list, map[string]any{
			"id": d.id, "guid": d.guid, "event": "workflow_job", "status_code": d.code, "delivered_at": d.at.UTC().Format(time.RFC3339Nano),
		})
	}
	a := reply{status: 200, body: list}
	if from > 0 {
		next := *req.URL
		next.RawQuery = "cursor=" + strconv.Itoa(from)
		a.header = map[string]string{"Link": fmt.Sprintf(`<%s>; rel="next"`, next.String())}
	}
	return a
}

func (h *hub) redeliver(_ *http.Request, m []string) reply {
	n, _ := strconv.Atoi(m[1])
	if n < 1 || n > len(h.deliveries) {
		return says(404, "Not Found")
	}
	d := *h.deliveries[n-1]
	h.tally.redelivered++
	h.start(func() {
		if h.takes(h.ctx, deliverySent) == nil {
			h.deliver(d, false)
		}
	})
	return reply{status: 202, body: map[string]any{}}
}
