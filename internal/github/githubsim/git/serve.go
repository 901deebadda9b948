package git

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// maxPush is how much one push may send, in bytes.
const maxPush = 256 << 20

// Serve speaks git's smart HTTP about the repository: service is what of it req asks
// for, such as info/refs. The caller has checked who asks, and push says whether
// they may push.
func (r *Repository) Serve(w http.ResponseWriter, req *http.Request, service string, push bool) error {
	program, err := exec.LookPath("git")
	if err != nil {
		http.Error(w, "git is not installed here", http.StatusNotImplemented)
		return fmt.Errorf("serving %s: %w", req.URL.Path, err)
	}
	env := append(environment(), "GIT_PROJECT_ROOT="+r.root, "GIT_HTTP_EXPORT_ALL=1")
	env = append(env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	if push {
		env = append(env, "REMOTE_USER=pusher") // git-http-backend takes pushes from known users only
	}
	req.Body = http.MaxBytesReader(w, req.Body, maxPush)
	done, err := measure(req)
	if err != nil {
		http.Error(w, "reading the request", http.StatusBadRequest)
		return fmt.Errorf("serving %s: %w", req.URL.Path, err)
	}
	defer done()
	req = r.addressed(req, service)
	var said lockedBuffer
	backend := &cgi.Handler{Path: program, Args: []string{"http-backend"}, Dir: r.root, Env: env, Stderr: &said}
	backend.ServeHTTP(w, req)
	if text := strings.TrimSpace(said.String()); text != "" {
		return fmt.Errorf("serving %s: git says %s", req.URL.Path, text)
	}
	return nil
}

// addressed gives req the path by which git's server finds the repository, whatever
// its sender calls it.
func (r *Repository) addressed(req *http.Request, service string) *http.Request {
	req = req.Clone(req.Context())
	req.URL.Path = strings.TrimPrefix(r.dir, r.root) + "/" + service
	req.URL.RawPath = ""
	return req
}

// measure gives a request of unknown length one, by way of a file: CGI wants it,
// and git sends none for a push of more than a megabyte. done removes the file.
func measure(req *http.Request) (done func(), err error) {
	if req.ContentLength >= 0 {
		return func() {}, nil
	}
	file, err := os.CreateTemp("", "push-*")
	if err != nil {
		return nil, err
	}
	done = func() {
		file.Close()
		os.Remove(file.Name())
	}
	n, err := io.Copy(file, req.Body)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		done()
		return nil, err
	}
	req.Body, req.ContentLength, req.TransferEncoding = file, n, nil
	return done, nil
}

// lockedBuffer is written by the process's copier and read by us.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // mu
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
