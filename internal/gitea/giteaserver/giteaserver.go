// Package giteaserver runs a Gitea of its own for a while: on loopback, with SQLite, in a
// folder that is thrown away. Tests and the demo play on it. It has the other side of what
// package gitea does: organizations, pushes, runs.
package giteaserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A Config says which Gitea to run.
type Config struct {
	Program string // Gitea's binary; "" looks for gitea in PATH
	Static  string // folder with its templates and options, where the binary has none built in; "" is static beside it, if that is there
	Dir     string // where all it keeps goes
}

// A Server is a Gitea that runs. Its user is an administrator.
type Server struct {
	URL   string
	User  string
	Token string // of User, with all scopes

	password string
	process  *exec.Cmd
	ended    chan error
	log      *os.File
}

// startWithin is how long a Gitea may take to answer.
const startWithin = 2 * time.Minute

// Start runs a Gitea and makes its administrator.
func Start(ctx context.Context, c Config) (s *Server, err error) {
	if c.Program == "" {
		c.Program = "gitea"
	}
	if c.Program, err = exec.LookPath(c.Program); err != nil {
		return nil, fmt.Errorf("finding Gitea: %w", err)
	}
	if c.Program, err = filepath.Abs(c.Program); err != nil { // it starts in a folder of its own
		return nil, err
	}
	if beside := filepath.Join(filepath.Dir(c.Program), "static"); c.Static == "" && isFolder(beside) {
		c.Static = beside
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s = &Server{URL: fmt.Sprintf("http://127.0.0.1:%d", port), User: "root1", password: rand.Text(), ended: make(chan error, 1)}
	ini := filepath.Join(c.Dir, "app.ini")
	if err := os.WriteFile(ini, []byte(settings(c, s.URL, port)), 0o600); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	gitea := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(context.WithoutCancel(ctx), c.Program, append([]string{"--config", ini, "--work-path", c.Dir}, args...)...)
		cmd.Dir, cmd.Env = c.Dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.Dir, "USER=" + os.Getenv("USER")}
		return cmd
	}
	if err := s.makeAdmin(gitea); err != nil {
		return s, err
	}
	if s.log, err = os.Create(filepath.Join(c.Dir, "web.log")); err != nil {
		return s, err
	}
	web := gitea("web")
	web.Stdout, web.Stderr, web.SysProcAttr = s.log, s.log, &syscall.SysProcAttr{Setpgid: true} // an interrupt is for who runs it
	if err := web.Start(); err != nil {
		return s, err
	}
	s.process = web
	go func() { s.ended <- web.Wait() }()
	return s, s.ready(ctx)
}

// makeAdmin makes the database, and in it the administrator with a token.
func (s *Server) makeAdmin(gitea func(args ...string) *exec.Cmd) error {
	for _, args := range [][]string{
		{"migrate"},
		{"admin", "user", "create", "--admin", "--username", s.User, "--password", s.password, "--email", s.User + "@example.com", "--must-change-password=false"},
		{"admin", "user", "generate-access-token", "--username", s.User, "--token-name", "mayfly", "--scopes", "all", "--raw"},
	} {
		out, err := gitea(args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("gitea %s: %w: %s", strings.Join(args[:min(3, len(args))], " "), err, bytes.TrimSpace(out))
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n") // the last has the token, after lines of the log
		s.Token = strings.TrimSpace(lines[len(lines)-1])
	}
	return nil
}

// ready waits until it answers.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startWithin, fmt.Errorf("no answer of Gitea within %v", startWithin))
	defer cancel()
	for {
		if err := s.Call(ctx, http.MethodGet, "version", nil, nil); err == nil {
			return nil
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			return fmt.Errorf("the end of Gitea: %w", errors.Join(err, errors.New(s.tail())))
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tail is the end of its log.
func (s *Server) tail() string {
	text, _ := os.ReadFile(s.log.Name()) // what cannot be read says nothing
	return string(text[max(0, len(text)-1000):])
}

// Close ends it.
func (s *Server) Close() error {
	var err error
	if s.process != nil {
		err = s.process.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(20 * time.Second):
			err = errors.Join(s.process.Process.Kill(), <-s.ended)
		}
		s.process = nil
	}
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
		s.log = nil
	}
	return err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// settings are its app.ini. Its queues are channels, as on disk they are looked at every 2 s at
// worst, which is how late a delivery then is.
// https://docs.gitea.com/administration/config-cheat-sheet
func settings(c Config, url string, port int) string {
	static := ""
	if c.Static != "" {
		static = "STATIC_ROOT_PATH = " + c.Static
	}
	return fmt.Sprintf(`APP_NAME = Gitea
RUN_MODE = prod
RUN_USER =
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
PROTOCOL = http
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %d
ROOT_URL = %s/
DISABLE_SSH = true
OFFLINE_MODE = true
%s
[database]
DB_TYPE = sqlite3
PATH = %s/gitea.db
[repository]
ROOT = %s/repositories
DEFAULT_BRANCH = main
[security]
INSTALL_LOCK = true
SECRET_KEY = %s
PASSWORD_HASH_ALGO = pbkdf2_v1
[service]
DISABLE_REGISTRATION = true
[actions]
ENABLED = true
DEFAULT_ACTIONS_URL = self
[webhook]
ALLOWED_HOST_LIST = loopback
[queue]
TYPE = channel
[cron]
ENABLED = false
[session]
PROVIDER = memory
[log]
MODE = console
LEVEL = Warn
[indexer]
ISSUE_INDEXER_TYPE = db
`, port, url, static, c.Dir, c.Dir, rand.Text())
}
