// Package awstest gives tests an AWS of their own on the loopback interface:
// moto_server (https://docs.getmoto.org), which speaks AWS's protocols and keeps what
// it is told. It shows that requests have the right shape and are wired together; it
// knows nothing of permissions, scaling and retries. A [Recorder] notes what was called,
// so that permissions can be held against that.
package awstest

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Where a [Cloud] says that it is, and as what moto knows whoever asks.
const (
	Region  = "eu-west-1"
	Account = "123456789012"
)

// Credentials that moto takes for good: it checks none.
const (
	keyID  = "test"
	secret = "test"
)

// A Cloud is a moto_server, with nothing in it at first.
type Cloud struct {
	URL      string     // http://127.0.0.1:PORT, for every service
	Config   aws.Config // for clients; what they call is recorded
	Recorder *Recorder
}

// Start returns a cloud that ends with t. Without a moto_server on this machine t is
// skipped; with CI=true it fails.
func Start(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{URL: oneByOne(t, serve(t)), Recorder: &Recorder{}}
	sdk, err := config.LoadDefaultConfig(context.Background(),
		config.WithSharedConfigFiles([]string{}), config.WithSharedCredentialsFiles([]string{}), // not this person's own
		config.WithBaseEndpoint(c.URL), config.WithRegion(Region),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(keyID, secret, "")),
	)
	if err != nil {
		t.Fatal(err)
	}
	c.Config = c.Recorder.Watch(sdk)
	return c
}

// Env returns what a process needs in its environment to reach c through the SDK.
func (c *Cloud) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + c.URL, "AWS_REGION=" + Region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=" + keyID, "AWS_SECRET_ACCESS_KEY=" + secret,
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
}

// running is what moto_server says once it listens, on its standard error.
var running = regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)

// A moto is a moto_server. It ends with this process, whatever becomes of that: it reads
// from us until there is nobody any more.
type moto struct {
	url string
	end io.Closer
}

// idle are those that no test has. To start one and to have it read all that it needs takes
// seconds, so the next test gets one of these, with nothing in it.
var idle struct {
	sync.Mutex
	motos []moto
}

// serve returns the address of a moto_server that is t's until its end.
func serve(t testing.TB) string {
	t.Helper()
	idle.Lock()
	var m moto
	if last := len(idle.motos) - 1; last >= 0 {
		m, idle.motos = idle.motos[last], idle.motos[:last]
	}
	idle.Unlock()
	if m.url == "" {
		m = newMoto(t)
	}
	t.Cleanup(func() {
		if err := m.reset(); err != nil {
			t.Error(errors.Join(err, m.end.Close()))
			return
		}
		idle.Lock()
		defer idle.Unlock()
		idle.motos = append(idle.motos, m)
	})
	return m.url
}

// reset has a moto forget all that it was told.
// https://docs.getmoto.org/en/latest/docs/server_mode.html#reset-api
func (m moto) reset() error {
	answer, err := http.Post(m.url+"/moto-api/reset", "", nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("resetting moto: %s", answer.Status)
	}
	return nil
}

// newMoto starts moto_server on a free port, and waits until it says that it listens.
func newMoto(t testing.TB) moto {
	t.Helper()
	program, err := exec.LookPath("moto_server")
	if err != nil {
		lacking(t, "moto_server is not installed: pip install 'moto[server]'")
	}
	cmd := exec.Command(program, "-H", "127.0.0.1", "-p", "0")
	cmd.Env = append(os.Environ(), "PYTHONPATH="+customized(t))
	stdin, errIn := cmd.StdinPipe()
	stderr, errOut := cmd.StderrPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	url, err := address(lines)
	go func() {
		_, _ = io.Copy(io.Discard, lines) // so that its log of requests never blocks it
		_ = cmd.Wait()
	}()
	if err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	return moto{url, stdin}
}

// customize mends what keeps moto from making stacks, and has it end with who started it.
//
//go:embed sitecustomize.py
var customize []byte

// customized returns a folder in which Python finds it, whichever Python moto_server
// is run by.
func customized(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sitecustomize.py"), customize, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// address reads up to the line that says where moto_server listens.
func address(lines *bufio.Reader) (string, error) {
	said := ""
	for {
		line, err := lines.ReadString('\n')
		if match := running.FindStringSubmatch(line); match != nil {
			return match[1], nil
		}
		if said += line; err != nil {
			return "", fmt.Errorf("%w before it listened; it said: %s", err, said)
		}
	}
}

// oneByOne serves what is at target, and returns where. DynamoDB's calls go through one at a
// time: moto keeps a transaction from nobody else's sight, and undoes others' writes with one that
// fails, where DynamoDB itself does one after another.
func oneByOne(t testing.TB, target string) string {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	var tables sync.Mutex
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }, // which moto's own addresses begin with
		ErrorLog: log.New(t.Output(), "awstest: ", 0),

		ModifyResponse: mend,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_") {
			tables.Lock()
			defer tables.Unlock()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// numbers are figures of a task's containers, which moto gives as numbers and ECS as text,
// as the SDK insists.
var numbers = regexp.MustCompile(`"(cpu|memory)": *([0-9]+)`)

// mend puts moto's answers about tasks right.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html
func mend(r *http.Response) error {
	_, operation, _ := strings.Cut(r.Request.Header.Get("X-Amz-Target"), "AmazonEC2ContainerServiceV20141113.")
	if operation != "RunTask" && operation != "DescribeTasks" && operation != "StopTask" {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	body = numbers.ReplaceAll(body, []byte(`"$1": "$2"`))
	if operation == "StopTask" && r.StatusCode == http.StatusInternalServerError { // moto falls over a task that is not there
		r.StatusCode, r.Status = http.StatusBadRequest, ""
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		body = []byte(`{"__type":"InvalidParameterException","message":"The referenced task was not found."}`)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return nil
}

func lacking(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip("SKIPPED, NOT TESTED: " + what)
}
