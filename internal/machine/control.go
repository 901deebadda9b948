package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/mayfly-ci/mayfly/internal/bus"
	"github.com/mayfly-ci/mayfly/internal/bus/registry"
	"github.com/mayfly-ci/mayfly/internal/disk"
	"github.com/mayfly-ci/mayfly/internal/serve"
)

// Commands that read open the database while mayfly up runs. Those that change it cannot, because
// it has one writer: they ask that writer over a unix socket in the state folder, which only its
// owner can use. If mayfly up does not run, the command opens the database itself, serves that
// socket for as long as it needs, and asks itself. So there is one way to make a change.

// ControlName is the name of the socket in the state folder.
const ControlName = "control.sock"

// MaxOrder bounds one order, in bytes.
const MaxOrder = 8 << 20

// orders serves the orders of commands.
func (m *Machine) orders() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /dlq/retry", order(m.bus.Retry))
	mux.Handle("POST /dlq/drop", order(m.bus.Drop))
	mux.Handle("POST /events", order(m.put))
	mux.Handle("POST /image", order(m.images.watch.Order))
	mux.Handle("POST /quarantine/release", order(m.release))
	mux.Handle("POST /quarantine/drop", order(m.bus.DropQuarantined))
	mux.HandleFunc("POST /logs", m.logs)
	mux.Handle("POST /standing", order(m.standing))
	mux.Handle("POST /replay/start", order(m.startReplay))
	mux.Handle("POST /replay/cancel", order(m.cancelReplay))
	mux.Handle("POST /stop", order(m.stopServing))
	return mux
}

// stopServing ends mayfly up like SIGTERM: runners keep running.
func (m *Machine) stopServing(context.Context, struct{}) (struct{}, error) {
	if m.stop == nil {
		return struct{}{}, errors.New("no mayfly up runs here")
	}
	m.config.Log.Info("stopping: mayfly down asks for it")
	m.stop()
	return struct{}{}, nil
}

// A complaint is the answer to an order that failed.
type complaint struct {
	Error string `json:"error"`
}

// order returns a handler that calls do: JSON in, JSON out.
func order[In, Out any](do func(context.Context, In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxOrder)).Decode(&in); err != nil {
			reply(w, http.StatusBadRequest, complaint{"reading the order: " + err.Error()})
			return
		}
		out, err := do(r.Context(), in)
		switch {
		case errors.Is(err, disk.ErrFull):
			reply(w, http.StatusInsufficientStorage, complaint{err.Error()})
		case err != nil:
			reply(w, http.StatusUnprocessableEntity, complaint{err.Error()})
		default:
			reply(w, http.StatusOK, out)
		}
	})
}

// reply answers an order. A caller that is gone can ask again.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// serveControl carries out orders until ctx ends.
func (m *Machine) serveControl(ctx context.Context) error {
	l, err := listenControl(m.config.State)
	if err != nil {
		return err
	}
	return m.carryOut(ctx, l)
}

// carryOut carries out the orders that arrive on l until ctx ends, then finishes those under way.
func (m *Machine) carryOut(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: m.orders(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(m.config.Log.Handler(), slog.LevelDebug),
	}
	return serve.Until(ctx, server, l)
}

// controlSocket returns the address of a socket in the folder state. It goes through the open
// folder, because the path of a unix socket is limited to 107 bytes.
func controlSocket(state, name string) (address string, folder *os.File, err error) {
	if folder, err = os.Open(state); err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), name), folder, nil
}

// listenControl creates the socket, replacing one of an earlier process: the lock of the database
// guarantees that no other process uses it. It gets its name only after its mode allows the owner
// alone to connect.
func listenControl(state string) (net.Listener, error) {
	const fresh = "." + ControlName
	if err := os.RemoveAll(filepath.Join(state, fresh)); err != nil {
		return nil, err
	}
	address, folder, err := controlSocket(state, fresh)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // by then the name may be another process's socket
	path := filepath.Join(state, fresh)
	if err := errors.Join(os.Chmod(path, 0o600), os.Rename(path, filepath.Join(state, ControlName))); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// A StandIn carries out the orders that change the database while mayfly up does not run, until it
// is closed.
type StandIn struct {
	Bus     *bus.Bus
	DB      *disk.DB
	Schemas *registry.Discoverer

	machine *Machine
	stop    context.CancelFunc
	ended   chan error
}

// OpenStandIn opens the database of a state folder that no mayfly up uses, and serves orders.
func OpenStandIn(ctx context.Context, s Config) (*StandIn, error) {
	m := newMachine(s)
	if err := m.openStore(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	l, err := listenControl(s.State)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	in := &StandIn{Bus: m.bus, DB: m.db, Schemas: m.schemas, machine: m, ended: make(chan error, 1)}
	ctx, in.stop = context.WithCancel(ctx)
	go func() { in.ended <- m.carryOut(ctx, l) }()
	return in, nil
}

// Close finishes orders under way and closes the database.
func (s *StandIn) Close() error {
	s.stop()
	return errors.Join(<-s.ended, s.machine.Close())
}

// StateFiles returns patterns of everything that mayfly creates in a state folder.
func StateFiles() []string {
	return []string{DatabaseName + "*", ControlName, "." + ControlName, "claims", "runners", "canary", "archives", "podman.sock"}
}
