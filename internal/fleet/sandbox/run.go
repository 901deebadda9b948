package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mayfly-ci/mayfly/internal/fleet"
)

// A run is the folder of one runner:
//
//	spec.json  what it was started for; written before the start
//	status     written by bubblewrap: process id and namespaces, at the end the exit code
//	log        output of bubblewrap and the agent
//	home       the runner's home
//	passwd, group
//
// bubblewrap's outer process, which writes status, inherits a lock on that file and holds it
// until it ends. So status is complete once the file is not locked, whether or not the Mayfly
// that started the runner is still alive.
type run struct{ folder string }

func (r run) name() string            { return filepath.Base(r.folder) }
func (r run) path(file string) string { return filepath.Join(r.folder, file) }

// record is the content of spec.json.
type record struct {
	Pool    string    `json:"pool"`
	Job     string    `json:"job"`
	Started time.Time `json:"started"`
	Boot    string    `json:"boot"` // id of the boot: process ids of another boot mean nothing
}

// spec returns the record, or the zero record if a crash left none.
func (r run) spec() (rec record) {
	data, _ := os.ReadFile(r.path("spec.json"))
	_ = json.Unmarshal(data, &rec) // a broken record counts as one of another boot; nothing else depends on it
	return rec
}

func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// status is the output of bubblewrap's --json-status-fd, one document per line.
type status struct {
	Child        int    `json:"child-pid"` // the agent, the first process of its namespace
	PIDNamespace uint64 `json:"pid-namespace"`
	ExitCode     *int   `json:"exit-code"`
}

func (r run) status() status {
	data, _ := os.ReadFile(r.path("status"))
	return parseStatus(data)
}

// parseStatus reads all complete lines: the last one may be half written.
func parseStatus(data []byte) (s status) {
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var next status
		if json.Unmarshal(lines.Bytes(), &next) != nil {
			continue
		}
		if next.Child > 0 {
			s.Child, s.PIDNamespace = next.Child, next.PIDNamespace
		}
		if next.ExitCode != nil {
			s.ExitCode = next.ExitCode
		}
	}
	return s
}

// locked reports whether bubblewrap's outer process exists.
func (r run) locked() bool {
	f, err := os.Open(r.path("status"))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// running reports whether r runs or is starting.
func (r run) running() bool {
	if r.locked() {
		return true
	}
	p, err := r.open()
	if err != nil {
		return false
	}
	p.close()
	return true
}

// open returns a handle of the agent's process. The error is os.ErrProcessDone if it has ended,
// also if another process has its number by now.
func (r run) open() (process, error) {
	s := r.status()
	if s.Child == 0 || r.spec().Boot != bootID() {
		return process{}, os.ErrProcessDone
	}
	p, err := openProcess(s.Child)
	if err != nil {
		return process{}, err
	}
	// Compare the namespace only after opening: from then on the handle cannot refer to another process.
	if namespace, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.Child)); namespace != fmt.Sprintf("pid:[%d]", s.PIDNamespace) {
		p.close()
		return process{}, os.ErrProcessDone
	}
	return p, nil
}

// pollEvery is how often awaitStart polls. bubblewrap takes some 10 ms to set up a sandbox.
const pollEvery = 500 * time.Microsecond

// awaitStart blocks until the agent runs, or has already ended. The child process is bubblewrap at
// first, and becomes the agent by exec, so its name tells. The lock is read before the status: if
// it is gone, the status read afterwards is final.
func (r run) awaitStart(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		gone := !r.locked()
		s := r.status()
		name := command(s.Child)
		switch {
		case s.ExitCode != nil, !gone && name != "" && name != "bwrap":
			return nil
		case gone:
			return fmt.Errorf("bubblewrap ended before the agent ran: %s", r.lastLine())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// command returns the name of the program that process pid executes, or "" if there is no such
// process, as for the 0 of a status without one.
func command(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(name))
}

func (r run) lastLine() string {
	data, _ := os.ReadFile(r.path("log"))
	data = bytes.TrimSpace(data)
	return string(data[bytes.LastIndexByte(data, '\n')+1:])
}

// ended blocks until r has ended and its status is complete.
func (r run) ended(ctx context.Context) error {
	if r.locked() {
		if err := r.awaitStart(ctx); err != nil && ctx.Err() != nil {
			return err
		}
	}
	p, err := r.open()
	if err == nil {
		defer p.close()
		err = p.wait(ctx)
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return r.settled()
}

// settled waits for bubblewrap's outer process, which ends right after the agent, by waiting for
// its lock. Only then is the status complete.
func (r run) settled() error {
	f, err := os.Open(r.path("status"))
	if errors.Is(err, os.ErrNotExist) { // a crash left none, or r was removed meanwhile
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// exit returns how r ended.
func (r run) exit() fleet.Exit {
	code := r.status().ExitCode
	switch {
	case code == nil:
		return fleet.Exit{Code: fleet.CodeUnknown, Note: fleet.NoteLost}
	case *code == 128+int(syscall.SIGKILL):
		return fleet.Exit{Code: *code, Note: fleet.NoteKilled}
	}
	return fleet.Exit{Code: *code}
}

// stop ends r with SIGTERM to the agent, and after grace with SIGKILL. The agent is the first
// process of its namespace, so the kernel kills all the others with it. A start in progress
// is awaited first, so that there is an agent to signal.
func (r run) stop(ctx context.Context, grace time.Duration) error {
	if r.locked() {
		if err := r.awaitStart(ctx); err != nil && ctx.Err() != nil {
			return err
		}
	}
	p, err := r.open()
	if errors.Is(err, os.ErrProcessDone) {
		return r.settled()
	} else if err != nil {
		return err
	}
	defer p.close()
	if grace > 0 {
		if err := p.signal(syscall.SIGTERM); err != nil {
			return err
		}
		graceful, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		if p.wait(graceful) == nil {
			return r.settled()
		}
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	return r.ended(ctx)
}

// remove removes the folder. A job may leave folders that even their owner may not change; these
// stop everybody but root, so remove makes them writable first.
func (r run) remove() error {
	if os.RemoveAll(r.folder) == nil {
		return nil
	}
	_ = filepath.WalkDir(r.folder, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(r.folder); err != nil {
		return fmt.Errorf("removing the folder of runner %s: %w", r.name(), err)
	}
	return nil
}
