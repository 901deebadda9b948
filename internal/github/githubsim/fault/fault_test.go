package fault_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/fault"
)

// serve runs a handler under s that counts its calls.
func serve(t *testing.T, s *fault.Set) (url string, calls *atomic.Int64) {
	calls = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Serve(w, r, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	}))
	t.Cleanup(server.Close)
	return server.URL, calls
}

// codes makes n requests and counts the answers by code; 0 for none.
func codes(t *testing.T, method, url string, n int) map[int]int {
	t.Helper()
	got := map[int]int{}
	for range n {
		req, err := http.NewRequest(method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			got[0]++
			continue
		}
		resp.Body.Close()
		got[resp.StatusCode]++
	}
	return got
}

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		rule  fault.Rule
		want  map[int]int // of ten POSTs to /a/b
		calls int64
	}{
		"status":         {fault.Rule{Path: "/a/*", Status: 503}, map[int]int{503: 10}, 0},
		"other path":     {fault.Rule{Path: "/a", Status: 503}, map[int]int{200: 10}, 10},
		"other method":   {fault.Rule{Path: "/a/b", Method: "GET", Status: 503}, map[int]int{200: 10}, 10},
		"three times":    {fault.Rule{Path: "/a/b", Method: "POST", Status: 401, Count: 3}, map[int]int{401: 3, 200: 7}, 7},
		"cut after work": {fault.Rule{Path: "/a/b", Cut: true, Count: 2}, map[int]int{0: 2, 200: 8}, 10},
		"slow":           {fault.Rule{Path: "/a/b", Delay: fault.Duration(time.Millisecond)}, map[int]int{200: 10}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			s := fault.NewSet(1)
			if _, err := s.Add(c.rule); err != nil {
				t.Fatal(err)
			}
			url, calls := serve(t, s)
			if d := cmp.Diff(c.want, codes(t, "POST", url+"/a/b", 10)); d != "" || calls.Load() != c.calls {
				t.Errorf("%d calls, want %d; answers (-want +got):\n%s", calls.Load(), c.calls, d)
			}
		})
	}
}

func TestProbabilityComesFromTheSeed(t *testing.T) {
	draw := func(seed uint64) map[int]int {
		s := fault.NewSet(seed)
		if _, err := s.Add(fault.Rule{Path: "/", Status: 500, Probability: 0.5}); err != nil {
			t.Fatal(err)
		}
		url, _ := serve(t, s)
		return codes(t, "GET", url+"/", 40)
	}
	first := draw(7)
	if first[500] < 8 || first[500] > 32 {
		t.Errorf("half of 40 is %d", first[500])
	}
	if d := cmp.Diff(first, draw(7)); d != "" {
		t.Errorf("the same seed gives another draw:\n%s", d)
	}
}

func TestRemove(t *testing.T) {
	s := fault.NewSet(1)
	id, err := s.Add(fault.Rule{Path: "/", Status: 500})
	if err != nil {
		t.Fatal(err)
	}
	url, _ := serve(t, s)
	codes(t, "GET", url+"/", 2)
	if got := s.Rules(); len(got) != 1 || got[0].Hits != 2 {
		t.Errorf("rules are %+v", got)
	}
	if !s.Remove(id) || s.Remove(id) {
		t.Error("a rule can be removed once")
	}
	if got := codes(t, "GET", url+"/", 1); got[200] != 1 {
		t.Errorf("after its removal: %v", got)
	}
}

func TestWrongRules(t *testing.T) {
	for _, r := range []fault.Rule{
		{Status: 500}, {Path: "[", Status: 500}, {Path: "/"}, {Path: "/", Status: 200}, {Path: "/", Status: 600},
		{Path: "/", Status: 500, Cut: true}, {Path: "/", Status: 500, Probability: 2}, {Path: "/", Status: 500, Count: -1},
	} {
		if _, err := fault.NewSet(1).Add(r); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}

func TestJSON(t *testing.T) {
	var r fault.Rule
	if err := json.Unmarshal([]byte(`{"path":"/x","delay":"1.5s","probability":0.1}`), &r); err != nil {
		t.Fatal(err)
	}
	if want := (fault.Rule{Path: "/x", Delay: fault.Duration(1500 * time.Millisecond), Probability: 0.1}); r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
	if err := json.Unmarshal([]byte(`{"delay":"5"}`), &r); err == nil {
		t.Error("a delay without a unit was taken")
	}
}

// TestRefusalsThatRunnersRead: of an error without its source a runner reads nothing.
func TestRefusalsThatRunnersRead(t *testing.T) {
	s := fault.NewSet(1)
	url, _ := serve(t, s)
	if _, err := s.Add(fault.Rule{Path: "/message", Status: 404, Source: "actions-broker-listener", Kind: "RunnerNotFound"}); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(url + "/message")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got map[string]any
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"source": "actions-broker-listener", "errorKind": "RunnerNotFound", "statusCode": 404.0, "errorMessage": "Not Found"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	for name, rule := range map[string]fault.Rule{
		"a source without a status": {Path: "/a", Cut: true, Source: "x"}, "a kind without a source": {Path: "/a", Status: 404, Kind: "x"},
	} {
		if _, err := s.Add(rule); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
