package githubsim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
	"github.com/mayfly-ci/mayfly/internal/github/openapi"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	const list = "/api/v3/repos/acme/web/actions/runners"
	for name, c := range map[string]struct {
		auth, path string
		want       int
	}{
		"none":                  {"", list, 401},
		"wrong":                 {"Bearer nothing", list, 401},
		"token":                 {"Bearer " + pat, list, 200},
		"word token":            {"token " + pat, list, 200},
		"without /api/v3":       {"Bearer " + pat, "/repos/acme/web/actions/runners", 200},
		"unknown repository":    {"Bearer " + pat, "/api/v3/repos/acme/none/actions/runners", 404},
		"unknown organisation":  {"Bearer " + pat, "/api/v3/orgs/none/actions/runners", 404},
		"any case":              {"Bearer " + pat, "/api/v3/repos/ACME/Web/actions/runners", 200},
		"enterprise":            {"Bearer " + pat, "/api/v3/enterprises/acme-corp/actions/runners", 200},
		"another enterprise":    {"Bearer " + pat, "/api/v3/enterprises/other/actions/runners", 404},
		"App's call by a token": {"Bearer " + pat, "/api/v3/app", 401},
	} {
		if got := w.call(c.auth, "GET", c.path, nil); got.code != c.want {
			t.Errorf("%s: %d %s, want %d", name, got.code, got.text, c.want)
		}
	}
}

// goodJWT signs the claims that a client makes.
func (w *world) goodJWT() string {
	now := w.clock.Now()
	return appJWT(w.t, jwt.SigningMethodRS256, appKey(), jwt.MapClaims{"iss": "7", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
}

func TestAppAuthentication(t *testing.T) {
	w := newWorld(t)
	if err := w.CreateRepository(githubsim.Repository{Name: "mona/own"}); err != nil {
		t.Fatal(err)
	}
	now := w.clock.Now()
	claims := func(change ...any) jwt.MapClaims {
		c := jwt.MapClaims{"iss": "7", "iat": now.Add(-30 * time.Second).Unix(), "exp": now.Add(9 * time.Minute).Unix()}
		for i := 0; i < len(change); i += 2 {
			c[change[i].(string)] = change[i+1]
		}
		return c
	}
	rs := jwt.SigningMethodRS256
	for name, token := range map[string]string{
		"another App":   appJWT(t, rs, appKey(), claims("iss", "8")),
		"expired":       appJWT(t, rs, appKey(), claims("exp", now.Add(-time.Minute).Unix())),
		"too long":      appJWT(t, rs, appKey(), claims("exp", now.Add(11*time.Minute).Unix())),
		"of the future": appJWT(t, rs, appKey(), claims("iat", now.Add(time.Minute).Unix())),
		"PS256":         appJWT(t, jwt.SigningMethodPS256, appKey(), claims()),
		"HMAC":          appJWT(t, jwt.SigningMethodHS256, []byte("x"), claims()),
	} {
		if got := w.call("Bearer "+token, "GET", "/api/v3/app", nil); got.code != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", name, got.code)
		}
	}
	app := "Bearer " + appJWT(t, rs, appKey(), claims("iss", 7))
	if got := w.call(app, "GET", "/api/v3/app", nil); got.code != http.StatusOK || got.body["slug"] != "mayfly" {
		t.Fatalf("app: %d %s", got.code, got.text)
	}
	if got := w.call(app, "GET", "/api/v3/app/installations", nil); len(got.list) != 2 {
		t.Errorf("installations: %s", got.text)
	}
	install := w.call(app, "GET", "/api/v3/repos/acme/web/installation", nil)
	path := fmt.Sprintf("/api/v3/app/installations/%.0f/access_tokens", install.body["id"])
	issued := w.call(app, "POST", path, nil)
	if issued.code != http.StatusCreated {
		t.Fatalf("access token: %d %s", issued.code, issued.text)
	}
	token := "Bearer " + issued.body["token"].(string)
	get := func(path string) int { return w.call(token, "GET", "/api/v3"+path, nil).code }
	if got := get("/orgs/acme/actions/runners"); got != http.StatusOK {
		t.Errorf("own organisation: %d", got)
	}
	if got := get("/repos/mona/own/actions/runners"); got != http.StatusNotFound {
		t.Errorf("another account: %d, want 404", got)
	}
	if got := get("/enterprises/acme-corp/actions/runners"); got != http.StatusNotFound {
		t.Errorf("the enterprise: %d, want 404", got)
	}
	w.clock.advance(time.Hour)
	if got := get("/orgs/acme/actions/runners"); got != http.StatusUnauthorized {
		t.Errorf("expired token: %d, want 401", got)
	}
}

func TestJITRefusals(t *testing.T) {
	w := newWorld(t)
	const path = "/repos/acme/web/actions/runners/generate-jitconfig"
	body := func(name string, group, labels int) map[string]any {
		list := []string{}
		for i := range labels {
			list = append(list, fmt.Sprint("l", i))
		}
		return map[string]any{"name": name, "runner_group_id": group, "labels": list}
	}
	a := w.api(http.StatusCreated, "POST", path, body("r1", 1, 100))
	if got := len(a.body["runner"].(map[string]any)["labels"].([]any)); got != 100 {
		t.Errorf("%d labels, want exactly those given", got)
	}
	w.api(http.StatusConflict, "POST", path, body("R1", 1, 1))
	w.api(http.StatusNotFound, "POST", path, body("r2", 9, 1))
	w.api(http.StatusNotFound, "POST", "/repos/acme/none/actions/runners/generate-jitconfig", body("r2", 1, 1))
	w.api(http.StatusUnprocessableEntity, "POST", path, body(strings.Repeat("x", 65), 1, 1))
	w.api(http.StatusCreated, "POST", "/orgs/acme/actions/runners/generate-jitconfig", body("r1", 1, 1))
	w.api(http.StatusCreated, "POST", "/enterprises/acme-corp/actions/runners/generate-jitconfig", body("r1", 1, 1))
}

// TestJITLabelCounts sends what GitHub's description forbids, and so is not
// checked against it.
func TestJITLabelCounts(t *testing.T) {
	w := newWorld(t)
	for _, n := range []int{0, 101} {
		body := map[string]any{"name": "r", "runner_group_id": 1, "labels": make([]string, n)}
		if got := w.unchecked("POST", "/api/v3/repos/acme/web/actions/runners/generate-jitconfig", body); got != http.StatusUnprocessableEntity {
			t.Errorf("%d labels: %d, want 422", n, got)
		}
	}
}

func TestRunnersArePagedAndDeleted(t *testing.T) {
	w := newWorld(t)
	for i := range 65 {
		w.jitRunner(fmt.Sprint("r", i), "linux")
	}
	const path = "/repos/acme/web/actions/runners"
	seen := 0
	next := path
	for pages := 1; next != ""; pages++ {
		a := w.api(http.StatusOK, "GET", next, nil)
		seen += len(a.body["runners"].([]any))
		next = ""
		for link := range strings.SplitSeq(a.header.Get("Link"), ", ") {
			if before, isNext := strings.CutSuffix(link, `; rel="next"`); isNext {
				next = strings.TrimPrefix(strings.Trim(before, "<>"), w.url+"/api/v3")
			}
		}
		if pages > 3 {
			t.Fatal("more than three pages of 30")
		}
	}
	if seen != 65 {
		t.Errorf("saw %d runners, want 65", seen)
	}
	if got := len(w.api(http.StatusOK, "GET", path+"?per_page=100", nil).body["runners"].([]any)); got != 65 {
		t.Errorf("a page of 100 has %d", got)
	}
	one := w.api(http.StatusOK, "GET", path+"?name=R7", nil).body["runners"].([]any)
	if len(one) != 1 {
		t.Fatalf("by name: %v", one)
	}
	address := fmt.Sprintf("%s/%.0f", path, one[0].(map[string]any)["id"])
	w.api(http.StatusOK, "GET", address, nil)
	w.api(http.StatusNoContent, "DELETE", address, nil)
	w.api(http.StatusNotFound, "GET", address, nil)
	w.jitRunner("r7", "linux") // the name is free again
}

func TestLabels(t *testing.T) {
	w := newWorld(t)
	w.jitRunner("r1", "a")
	path := "/repos/acme/web/actions/runners/" + id(w.Runners()[0].ID) + "/labels"
	w.api(http.StatusOK, "POST", path, map[string]any{"labels": []string{"b"}})
	w.api(http.StatusOK, "DELETE", path+"/a", nil)
	w.api(http.StatusNotFound, "DELETE", path+"/a", nil)
	if got := w.api(http.StatusOK, "GET", path, nil).body["total_count"]; got != 1.0 {
		t.Errorf("%v labels", got)
	}
	w.api(http.StatusOK, "PUT", path, map[string]any{"labels": []string{"c", "d"}})
	if got := w.Runners()[0].Labels; len(got) != 2 {
		t.Errorf("labels are %v", got)
	}
}

func TestRateLimit(t *testing.T) {
	w := newWorld(t, func(c *githubsim.Config) { c.RateLimit = 2 })
	a := w.api(http.StatusOK, "GET", "/repos/acme/web/actions/runners", nil)
	if a.header.Get("X-RateLimit-Remaining") != "1" || a.header.Get("X-RateLimit-Limit") != "2" {
		t.Errorf("headers: %v", a.header)
	}
	w.api(http.StatusOK, "GET", "/rate_limit", nil)
	a = w.api(http.StatusForbidden, "GET", "/repos/acme/web/actions/runners", nil)
	if a.header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("headers: %v", a.header)
	}
	w.clock.advance(time.Hour)
	w.api(http.StatusOK, "GET", "/repos/acme/web/actions/runners", nil)
}

func TestSmallCalls(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"/meta", "/rate_limit", "/repos/actions/runner/releases/latest", "/orgs/acme/actions/runners/downloads",
		"/orgs/acme/actions/runner-groups", "/enterprises/acme-corp/actions/runners/deprecations/2.330.0",
		"/repos/acme/web/actions/runs",
	} {
		w.api(http.StatusOK, "GET", path, nil)
	}
	if got := w.api(http.StatusOK, "GET", "/repos/actions/runner/releases/latest", nil).body["tag_name"]; got != "v"+githubsim.DefaultRunnerVersion {
		t.Errorf("latest release is %v", got)
	}
}

// TestEveryOperationIsServed: all that GitHub's description of runner scaling has.
func TestEveryOperationIsServed(t *testing.T) {
	w := newWorld(t)
	parameter := regexp.MustCompile(`{[^}]+}`)
	for _, operation := range openapi.Operations() {
		method, path, _ := strings.Cut(operation, " ")
		if path == "/repos/{owner}/{repo}/releases/latest" {
			path = "/repos/actions/runner/releases/latest" // the one repository here that has releases
		}
		if !w.Routed(httptest.NewRequest(method, parameter.ReplaceAllString(path, "1"), nil)) {
			t.Errorf("%s is not served", operation)
		}
	}
}

func TestManifestIsConvertedOnce(t *testing.T) {
	w := newWorld(t)
	w.OfferApp("abc", githubsim.AppManifest{App: githubsim.App{ID: 9, Slug: "new", Secret: secret.New("s")}, PEM: "pem"})
	a := w.call("", "POST", "/api/v3/app-manifests/abc/conversions", nil)
	if a.code != http.StatusCreated || a.body["pem"] != "pem" || a.body["webhook_secret"] != "s" {
		t.Errorf("conversion: %d %s", a.code, a.text)
	}
	if got := w.call("", "POST", "/api/v3/app-manifests/abc/conversions", nil).code; got != http.StatusNotFound {
		t.Errorf("second conversion: %d, want 404", got)
	}
}

func TestFaultsOnRequest(t *testing.T) {
	w := newWorld(t)
	const path = "/repos/acme/web/actions/runners/generate-jitconfig"
	body := func(name string) map[string]any {
		return map[string]any{"name": name, "runner_group_id": 1, "labels": []string{"linux"}}
	}
	w.api(http.StatusCreated, "POST", "/_sim/faults", fault.Rule{Path: "/repos/*/*/actions/runners/*", Status: 429, RetryAfter: 7, Count: 1})
	if a := w.api(http.StatusTooManyRequests, "POST", path, body("r1")); a.header.Get("Retry-After") != "7" {
		t.Errorf("headers: %v", a.header)
	}
	w.api(http.StatusCreated, "POST", path, body("r1"))
	w.api(http.StatusCreated, "POST", "/_sim/faults", fault.Rule{Path: path, Cut: true, Count: 1})
	if a := w.call("Bearer "+pat, "POST", "/api/v3"+path, body("r2")); a.code != 0 {
		t.Errorf("a cut answer: %d %s, want none", a.code, a.text)
	}
	w.api(http.StatusConflict, "POST", path, body("r2")) // the work was done
	if got := w.call("Bearer nobody", "POST", "/_sim/faults", fault.Rule{Path: "/", Status: 500}).code; got != http.StatusUnauthorized {
		t.Errorf("faults for strangers: %d, want 401", got)
	}
	w.api(http.StatusNoContent, "DELETE", "/_sim/faults", nil)
	if got := len(w.Faults().Rules()); got != 0 {
		t.Errorf("%d rules left", got)
	}
}
