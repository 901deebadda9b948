package signed

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A role is a credentials endpoint as ECS has one: its nth answer holds keys of the
// nth session, good for an hour from now.
type role struct {
	now   time.Time
	asked int
	down  bool
	token string // that it wants
}

func (e *role) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.down || r.Header.Get("Authorization") != e.token {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	e.asked++
	fmt.Fprintf(w, `{"RoleArn":"arn:aws:iam::1:role/r","AccessKeyId":"AKID%d","SecretAccessKey":"s","Token":"session%d","Expiration":%q}`,
		e.asked, e.asked, e.now.Add(time.Hour).UTC().Format(time.RFC3339))
}

// open serves e and returns a Transport that uses it, to a function that
// answers with the Authorization header and the body it got.
func open(t *testing.T, e *role, variables map[string]string) (*Transport, string) {
	t.Helper()
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("Authorization"), r.Header.Get("X-Amz-Security-Token"), body)
	}))
	t.Cleanup(function.Close)
	all := map[string]string{"AWS_REGION": "eu-west-1", fullURI: server.URL + "/creds"}
	for name, value := range variables {
		all[name] = value
	}
	tr, err := New(function.URL+"/", func(name string) string { return all[name] })
	if err != nil {
		t.Fatal(err)
	}
	tr.now = func() time.Time { return e.now }
	return tr, function.URL
}

// call makes one call and returns what the function saw.
func call(t *testing.T, tr *Transport, url string) (string, error) {
	t.Helper()
	res, err := (&http.Client{Transport: tr}).Post(url+"/claim", "application/json", strings.NewReader("{}"))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

func TestKeysAreKeptAndRenewed(t *testing.T) {
	e := &role{now: time.Unix(1_800_000_000, 0)}
	tr, url := open(t, e, nil)
	for _, step := range []struct {
		later time.Duration
		down  bool
		want  string // the session that signs; "" for an error
	}{
		{0, false, "session1"},
		{54 * time.Minute, false, "session1"},
		{2 * time.Minute, false, "session2"}, // four minutes before the end
		{57 * time.Minute, true, "session2"}, // the endpoint is away: the old ones are good for three minutes
		{4 * time.Minute, true, ""},          // and then not
		{0, false, "session3"},
	} {
		e.now, e.down = e.now.Add(step.later), step.down
		got, err := call(t, tr, url)
		if step.want == "" {
			if err == nil || !strings.Contains(err.Error(), "403") {
				t.Errorf("%v: %q, error %v: want one that says what the endpoint answered", e.now, got, err)
			}
			continue
		}
		if err != nil || !strings.Contains(got, "|"+step.want+"|{}") || !strings.Contains(got, "Credential=AKID"+step.want[7:]+"/") || !strings.Contains(got, "/eu-west-1/lambda/") {
			t.Errorf("%v: %q, %v: want %s", e.now, got, err, step.want)
		}
	}
}

func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, variables := range []map[string]string{
		{token: "from-file"}, {tokenFile: file}, {tokenFile: file, token: "other"},
	} {
		tr, url := open(t, &role{now: time.Now(), token: "from-file"}, variables)
		if got, err := call(t, tr, url); err != nil || !strings.Contains(got, "session1") {
			t.Errorf("%v: %q, %v", variables, got, err)
		}
	}
}

func TestWhereFromAndWhereTo(t *testing.T) {
	const function = "https://abc.lambda-url.eu-central-1.on.aws/"
	for _, test := range []struct {
		address, region, relative, full string
		want                            string // region and endpoint, or a part of the error
	}{
		{function, "", "/v2/x", "", "eu-central-1 http://169.254.170.2/v2/x"},
		{function, "us-east-1", "/v2/x", "http://127.0.0.1/y", "eu-central-1 http://169.254.170.2/v2/x"},
		{"https://claims.example.com", "us-east-1", "", "https://elsewhere/y", "us-east-1 https://elsewhere/y"},
		{"http://127.0.0.1:9/", "us-east-1", "", "http://169.254.170.23/v1", "us-east-1 http://169.254.170.23/v1"},
		{"https://claims.example.com", "", "/v2/x", "", "AWS_REGION"},
		{"http://claims.example.com", "us-east-1", "/v2/x", "", "want https"},
		{"claims", "us-east-1", "/v2/x", "", "want a URL"},
		{function, "", "", "", "no credentials of a task role"},
		{function, "", "", "http://elsewhere/y", "want https"},
		{function, "", "", "http://127.0.0.1@elsewhere/y", "want https"},
	} {
		env := map[string]string{"AWS_REGION": test.region, relativeURI: test.relative, fullURI: test.full}
		tr, err := New(test.address, func(name string) string { return env[name] })
		got := fmt.Sprint(err)
		if err == nil {
			got = tr.region + " " + tr.keys.address
		}
		if err == nil && got != test.want || !strings.Contains(got, test.want) {
			t.Errorf("%+v: %s", test, got)
		}
	}
}
