package githubsim_test

import (
	"bufio"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
)

// A recorded is one line of a transcript.
type recorded struct {
	Method     string
	Path       string
	Headers    map[string]string
	Body       string
	Status     int
	AnswerType string `json:"answer_type"`
	Answer     string
}

func readTranscript(t *testing.T, file string) []recorded {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []recorded
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line recorded
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// is reports whether the line asks for a path that ends so.
func (l recorded) is(method, suffix string) bool {
	path, _, _ := strings.Cut(l.Path, "?")
	return l.Method == method && strings.HasSuffix(path, suffix)
}

// messageType gives the kind of message that the line was answered with, "" if none.
func (l recorded) messageType() string {
	var m struct{ MessageType string }
	if !l.is("GET", "/broker/message") || json.Unmarshal([]byte(l.Answer), &m) != nil {
		return ""
	}
	return m.MessageType
}

// corrected gives the line as GitHub answers it, where the simulator of then did not.
func (l recorded) corrected() recorded {
	switch {
	case l.is("GET", "/broker/message") && l.Status == http.StatusUnauthorized:
		// after its one job; official-runner.md 10: no error that the runner has to log
		l.Status, l.AnswerType, l.Answer = http.StatusAccepted, "", ""
	case l.is("DELETE", "/broker/session") && l.Status == http.StatusUnauthorized:
		l.Status, l.AnswerType, l.Answer = http.StatusNoContent, "", "" // 10
	case l.is("GET", "/broker/message") && l.Status == http.StatusNotFound:
		l.Status = http.StatusUnauthorized // 9: this kind has the runner make a session at once
		l.Answer = strings.Replace(l.Answer, "TaskAgentSessionExpired", "RunnerSessionInvalid", 1)
	case l.is("POST", "/completejob"):
		l.Status = http.StatusNoContent // as captured from GitHub, by more than one project
	case strings.HasSuffix(l.Path, "SignedBlobURL"):
		// as captured: Twirp gives numbers of 64 bits as texts
		l.Answer = regexp.MustCompile(`"soft_size_limit":\d+`).ReplaceAllString(l.Answer, `"soft_size_limit":"1048576"`)
	}
	return l
}

// A replay asks the lines of a transcript again, with ids, tokens and signatures of its own.
type replay struct {
	*world
	run     githubsim.Run
	runner  *handRunner
	job     *begunJob         // nil until it was acquired
	token   string            // to register
	archive string            // token to download an action
	learned map[string]string // what stands here for ids and addresses of the transcript
	pending func()            // checks a poll that goes on beside
}

// transcripts are the files, and how their job ends; "" where there is none.
var transcripts = map[string]string{
	"job-with-run-steps": githubsim.Success, "job-with-checkout": githubsim.Success, "cancel": githubsim.Cancelled,
	"sigterm-while-busy": githubsim.Failure, "config-sh-then-job": githubsim.Success, "self-update": "",
}

// TestTranscripts asks what GitHub's own runner asked, line by line.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/official-runner/*.jsonl")
	if err != nil || len(files) != len(transcripts) {
		t.Fatalf("there are %v, %v; want %d transcripts", files, err, len(transcripts))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) {
			p := newReplay(t, transcripts[name])
			for i, line := range readTranscript(t, file) {
				p.ask(i+1, line)
			}
			p.settle()
			if want := transcripts[name]; want != "" && p.world.job("build").Conclusion != want {
				t.Errorf("the job is %+v, want %s", p.world.job("build"), want)
			}
		})
	}
}

func newReplay(t *testing.T, conclusion string) *replay {
	t.Helper()
	p := &replay{learned: map[string]string{}, world: newWorld(t, func(c *githubsim.Config) {
		if conclusion == "" {
			c.Poll = time.Minute // a poll goes on while its session ends
		}
	})}
	if err := p.CreateRepository(githubsim.Repository{Name: "actions/checkout"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Push(githubsim.Push{Repository: "actions/checkout", Branch: "v4", Files: map[string]string{"action.yml": "runs: {using: node24, main: a.js}"}}); err != nil {
		t.Fatal(err)
	}
	if conclusion != "" {
		p.run = p.push("on: push\njobs: {build: {runs-on: [self-hosted, linux, x64], steps: [{uses: actions/checkout@v4}]}}")[0]
	}
	return p
}

// ask asks one line, and holds the answer against the one that the runner got.
func (p *replay) ask(number int, line recorded) {
	p.t.Helper()
	p.prepare(&line)
	req := p.request(line)
	check := func(a answer, err error) {
		if err != nil {
			p.t.Fatalf("line %d: %v", number, err)
		}
		p.check(number, line.corrected(), a)
	}
	if line.is("GET", "/broker/message") && p.run.ID == 0 && line.messageType() == "" {
		done := make(chan struct{})
		var a answer
		var err error
		go func() { defer close(done); a, err = do(req) }()
		p.pending = func() { <-done; check(a, err) }
		return
	}
	a, err := do(req)
	check(a, err)
	p.learn(line, a)
}

// settle waits for the poll that goes on beside.
func (p *replay) settle() {
	if p.pending != nil {
		p.pending()
		p.pending = nil
	}
}

// prepare does what the transcript's own world did before the line was answered.
func (p *replay) prepare(line *recorded) {
	p.t.Helper()
	switch line.messageType() {
	case "JobCancellation":
		if err := p.CancelRun(p.run.ID); err != nil {
			p.t.Fatal(err)
		}
	case "RunnerRefresh":
		p.PublishRunner(githubsim.RunnerRelease{Version: "2.337.0", Archives: map[string][]byte{"linux-x64": []byte("files")}})
		p.SetUpdates(true)
		// what said so was no GitHub: that does not tell a runner which updates nothing
		line.Path = strings.Replace(line.Path, "disableUpdate=true", "disableUpdate=false", 1)
	}
	if strings.HasPrefix(line.Path, "/_runner/log/") { // a person's, by the redirect to it
		a := p.call("Bearer "+pat, "GET", "/api/v3/repos/acme/web/actions/jobs/"+id(p.world.job("build").ID)+"/logs", nil)
		if a.code != http.StatusOK || a.text == "" {
			p.t.Errorf("log of the job: %d %q", a.code, a.text)
		}
		line.Path, line.AnswerType = "/api/v3/repos/acme/web/actions/jobs/"+id(p.world.job("build").ID)+"/logs", "text/plain; charset=utf-8"
	}
}

// request makes the line's request with what stands here for what it names.
func (p *replay) request(line recorded) *http.Request {
	p.t.Helper()
	path, body := p.here(line.Path), p.here(line.Body)
	switch {
	case line.is("POST", "/_runner/token"):
		body = strings.Replace(body, "HEADER.CLAIMS.SIGNATURE", p.assertion(), 1)
	case line.is("POST", "/runners/register"):
		body = regexp.MustCompile(`<Modulus>[^<]*</Modulus><Exponent>[^<]*</Exponent>`).ReplaceAllString(body, publicKeyText(appKey()))
	case line.is("POST", "/git-upload-pack"):
		body = regexp.MustCompile(`want [0-9a-f]{40}`).ReplaceAllString(body, "want "+p.run.SHA)
	}
	if p.job != nil { // the transcript's simulator had one id for both
		plan := p.job.at("plan", "planId").(string)
		body = regexp.MustCompile(`("(?:planId|workflow_run_backend_id)":)"[^"]*"`).ReplaceAllString(body, `$1"`+plan+`"`)
		path = regexp.MustCompile(`^/actions/build/[^/]+/`).ReplaceAllString(path, "/actions/build/"+plan+"/")
	}
	req, err := http.NewRequest(line.Method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for name, value := range line.Headers {
		if name != "authorization" {
			req.Header.Set(name, value)
		}
	}
	if strings.Contains(path, "/info/refs") || strings.Contains(path, "/git-upload-pack") {
		req.Header.Set("Git-Protocol", "version=2") // as the answer shows
	}
	p.authorize(req, line)
	return req
}

// authorize gives req the token that the runner had for it.
func (p *replay) authorize(req *http.Request, line recorded) {
	p.t.Helper()
	scheme, _, has := strings.Cut(line.Headers["authorization"], " ")
	token := pat
	switch {
	case !has && !strings.Contains(line.Path, "/logs") && !strings.HasPrefix(req.URL.Path, "/api/v3/repos/acme/web/actions/jobs/"):
		return
	case strings.EqualFold(scheme, "RemoteAuth"):
		token = p.token
	case strings.Contains(line.Path, "/broker/") || line.is("POST", "/acquirejob"):
		token = p.runner.access
	case strings.Contains(line.Path, "/tarball/"):
		token = p.archive
	case strings.Contains(line.Path, "git-upload-pack"):
		token = p.job.variable("github_token")
	case p.job != nil && strings.HasPrefix(req.URL.Path, "/_runner/") || strings.HasPrefix(line.Path, "/actions/build/"):
		token = p.job.access()
	}
	if strings.EqualFold(scheme, "basic") {
		req.SetBasicAuth("x-access-token", token)
		return
	}
	if scheme == "" {
		scheme = "Bearer"
	}
	req.Header.Set("Authorization", scheme+" "+token)
}

// assertion signs a client assertion as the runner does.
func (p *replay) assertion() string {
	p.t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodPS256, p.runner.claims()).SignedString(p.runner.key)
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

func do(req *http.Request) (answer, error) {
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{code: res.StatusCode, header: res.Header, text: string(text)}
	if strings.HasPrefix(a.text, "{") {
		err = json.Unmarshal(text, &a.body)
	}
	return a, err
}

// check holds an answer against the one that the runner took.
func (p *replay) check(number int, line recorded, a answer) {
	p.t.Helper()
	want, _, _ := mime.ParseMediaType(line.AnswerType)
	got, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if a.code != line.Status || got != want && line.Path != "/runner-dl" {
		p.t.Errorf("line %d: %s %s: %d %s, want %d %s: %.300s", number, line.Method, line.Path, a.code, got, line.Status, want, a.text)
		return
	}
	switch want {
	case "application/json":
		for _, lack := range shapeOf(a.text).lacks(shapeOf(line.Answer)) {
			p.t.Errorf("line %d: %s %s: %s", number, line.Method, line.Path, lack)
		}
		p.checkWords(number, line, a)
	case "application/x-git-upload-pack-advertisement":
		if !strings.HasPrefix(a.text, "000eversion 2\n") || !strings.Contains(a.text, "fetch=shallow") {
			p.t.Errorf("line %d: git says %q", number, a.text)
		}
	case "application/x-git-upload-pack-result":
		if !strings.Contains(a.text, "shallow "+p.run.SHA) || !strings.Contains(a.text, "PACK") {
			p.t.Errorf("line %d: git sends %.100q", number, a.text)
		}
	}
}

// checkWords compares the words that runners act on, and the body of a message, which is
// JSON in JSON.
func (p *replay) checkWords(number int, line recorded, a answer) {
	p.t.Helper()
	var was map[string]any
	if json.Unmarshal([]byte(line.Answer), &was) != nil {
		return // of an answer that was cut there is its shape
	}
	for _, name := range []string{"messageType", "source", "errorKind", "error", "token_type", "token_schema", "use_v2_flow", "blob_storage_type", "ok"} {
		if was[name] != nil && a.body[name] != was[name] {
			p.t.Errorf("line %d: %s is %v, want %v", number, name, a.body[name], was[name])
		}
	}
	bodyWas, _ := was["body"].(string)
	body, _ := a.body["body"].(string)
	for _, lack := range shapeOf(body).lacks(shapeOf(bodyWas)) {
		p.t.Errorf("line %d: body%s", number, lack)
	}
}

// learn takes from an answer what later lines need.
func (p *replay) learn(line recorded, a answer) {
	p.t.Helper()
	switch {
	case line.is("POST", "/generate-jitconfig"):
		p.runner = p.decodeJIT(a.body["encoded_jit_config"].(string))
	case line.is("POST", "/registration-token"):
		p.token = a.body["token"].(string)
	case line.is("POST", "/runners/register"):
		auth := a.body["authorization"].(map[string]any)
		p.runner = &handRunner{w: p.world, key: appKey(), client: auth["client_id"].(string), auth: auth["authorization_url"].(string)}
	case line.is("POST", "/_runner/token") && a.code == http.StatusOK:
		p.runner.access = a.body["access_token"].(string)
	case line.is("POST", "/acquirejob"):
		p.job = &begunJob{w: p.world, runner: p.runner, message: a.body}
	case line.is("POST", "/runnerresolve/actions"):
		info := a.body["actions"].(map[string]any)["actions/checkout@v4"].(map[string]any)
		p.archive = info["authentication"].(map[string]any)["token"].(string)
	}
	var was any
	if json.Unmarshal([]byte(line.Answer), &was) == nil {
		p.pair(was, any(a.body))
	}
}

// pair notes what stands here for the texts of an answer of then: ids, tokens, addresses.
func (p *replay) pair(was, is any) {
	switch was := was.(type) {
	case map[string]any:
		is, _ := is.(map[string]any)
		for k, v := range was {
			p.pair(v, is[k])
		}
	case string:
		now, _ := is.(string)
		var inner, innerNow any
		if json.Unmarshal([]byte(was), &inner) == nil && json.Unmarshal([]byte(now), &innerNow) == nil {
			p.pair(inner, innerNow)
		}
		was, now = strings.TrimPrefix(was, "http://sim.test"), strings.TrimPrefix(now, p.url)
		if was != now && now != "" && (len(was) > 20 || was == "/runner-dl") && !strings.ContainsAny(was, " {") {
			p.learned[was] = now
		}
	}
}

// here gives a text with what stands here for what the transcript names.
func (p *replay) here(text string) string {
	names := make([]string, 0, len(p.learned))
	for was := range p.learned {
		names = append(names, was)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) }) // an address before the ids in it
	for _, was := range names {
		text = strings.ReplaceAll(text, was, p.learned[was])
	}
	return strings.ReplaceAll(text, "http://sim.test", p.url)
}
