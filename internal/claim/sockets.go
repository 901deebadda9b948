package claim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// A Config configures a [SocketServer] or a [Handler].
type Config struct {
	Dir    string // of a SocketServer: folder of the claim folders; created if missing, readable only by its owner
	Ledger Ledger
	Forge  Forge
	CA     string // certificates in PEM, for every [Grant]
	Log    *slog.Logger
}

// A SocketServer opens a claim socket for each runner and answers on it. Its methods are safe for
// concurrent use.
//
// A runner's container gets the runner's folder, not the socket in it: after a restart the socket
// is created again, and the agent finds the new one under the same path.
type SocketServer struct {
	config Config
	folder *os.File // Dir, open: sockets are bound through it

	mu      sync.Mutex
	servers map[string]*socket // open sockets by runner
}

// A socket is an open socket: its server and the runner's session.
type socket struct {
	*http.Server
	session *session
}

// New creates the folder and returns a SocketServer without open sockets.
func New(c Config) (*SocketServer, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of claim sockets: %w", err)
	}
	if err := os.Chmod(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("closing the folder of claim sockets to others: %w", err)
	}
	folder, err := os.Open(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of claim sockets: %w", err)
	}
	return &SocketServer{config: c, folder: folder, servers: map[string]*socket{}}, nil
}

var runnerName = regexp.MustCompile(`^[a-z0-9-]+$`)

// isRunnerName reports whether name is safe as a folder and as a container.
func isRunnerName(name string) bool { return len(name) <= 64 && runnerName.MatchString(name) }

const wantName = "want a name of 1 to 64 of a-z, 0-9 and -"

// Open opens the claim socket of runner and returns its folder, to be mounted into the container.
// If it is open already, nothing happens.
func (s *SocketServer) Open(runner string) (dir string, err error) {
	if !isRunnerName(runner) {
		return "", fmt.Errorf("opening the claim socket of %q: %s", runner, wantName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	dir = filepath.Join(s.config.Dir, runner)
	if s.servers[runner] != nil {
		return dir, nil
	}
	l, err := s.listen(runner)
	if err != nil {
		return "", fmt.Errorf("opening the claim socket of %s: %w", runner, err)
	}
	s.servers[runner] = serve(s.config, runner, l)
	return dir, nil
}

// listen binds the socket next to the runner's folder and moves it there once its mode is right:
// whoever sees a socket may use it, and nothing that a container put into the folder is followed.
// It binds through the open folder, because the path of a unix socket is limited to 107 bytes and a
// state folder may be deep.
func (s *SocketServer) listen(runner string) (net.Listener, error) {
	dir := filepath.Join(s.config.Dir, runner)
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // regardless of the umask
		return nil, err
	}
	fresh := filepath.Join(s.config.Dir, "."+runner)
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/.%s", s.folder.Fd(), runner))
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it is renamed below
	if err := errors.Join(os.Chmod(fresh, 0o666), os.Rename(fresh, filepath.Join(dir, SocketName))); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(fresh))
	}
	return l, nil
}

// Close closes the socket of runner, if open, and removes its folder.
func (s *SocketServer) Close(runner string) error {
	if !isRunnerName(runner) {
		return fmt.Errorf("closing the claim socket of %q: %s", runner, wantName)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if server := s.servers[runner]; server != nil {
		server.Close() // errors of connections that are being dropped mean nothing
		server.session.log.finish()
		delete(s.servers, runner)
	}
	// A crash in listen leaves the socket next to the folder.
	for _, name := range []string{"." + runner, runner} {
		if err := os.RemoveAll(filepath.Join(s.config.Dir, name)); err != nil {
			return fmt.Errorf("removing the claim folder of %s: %w", runner, err)
		}
	}
	return nil
}

// Runners lists the runners with a folder, open or left by an earlier process.
func (s *SocketServer) Runners() ([]string, error) {
	entries, err := os.ReadDir(s.config.Dir)
	if err != nil {
		return nil, fmt.Errorf("listing claim folders: %w", err)
	}
	var names []string
	for _, e := range entries {
		if isRunnerName(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Shutdown closes every socket and lets current claims finish until ctx ends. The folders stay:
// runners find their sockets again when a new SocketServer opens them.
func (s *SocketServer) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wg sync.WaitGroup
	errs := make(chan error, len(s.servers))
	for _, server := range s.servers {
		wg.Go(func() { errs <- server.Shutdown(ctx) })
	}
	wg.Wait()
	close(errs)
	all := s.folder.Close()
	for err := range errs {
		all = errors.Join(all, err)
	}
	clear(s.servers)
	return all
}

// Limits per runner. A job can reach the socket, so it cannot be trusted.
const (
	maxBody        = 64 << 10
	maxHeader      = 8 << 10
	maxConnections = 8
	maxReports     = 100 // a runner has a handful to make; each is stored
	readLimit      = 10 * time.Second
	claimLimit     = 60 * time.Second // for ledger and forge together
	reportLimit    = 30 * time.Second
	retryAfter     = 2 * time.Second // default, if neither ledger nor forge says more
)

// serve serves runner's claim on l until the server is closed; too many calls close it for good.
func serve(c Config, runner string, l net.Listener) *socket {
	s := &socket{session: newSession(c, runner)}
	s.Server = &http.Server{
		Handler: guard(s.session.handler(), func() {
			c.Log.Warn("claim socket closed: the job floods it with calls", "runner", runner)
			s.Close()
		}),
		ReadHeaderTimeout: readLimit,
		ReadTimeout:       readLimit,
		WriteTimeout:      readLimit + claimLimit,
		IdleTimeout:       readLimit,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := s.Serve(limit(l, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			c.Log.Error("claim socket ended", "runner", runner, "err", err)
		}
	}()
	return s
}
