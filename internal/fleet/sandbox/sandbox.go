// Package sandbox is the launcher for hosts without a container engine: each
// runner is a bubblewrap sandbox (https://github.com/containers/bubblewrap).
//
// A runner gets separate user, pid, mount, ipc, uts and cgroup namespaces and a separate
// session. It has no capability and no way to gain one, and cannot create further user
// namespaces where bubblewrap can forbid that (from 0.8). Of the host's files it sees only
// programs and libraries (/usr, /bin, /lib…, read-only) and a few of /etc. Its home is
// removed at its end; /tmp, /run and /var are in memory.
//
// If Mayfly runs as root, every sandbox has a user id that nobody else on the host has, and
// control groups with the limits of its pool. If Mayfly runs as an ordinary user, there are
// no limits, and every sandbox has that user's id on the host: only the namespaces separate
// runners.
//
// The network is the host's or none, because bubblewrap cannot set up another. With the
// host's, a job reaches the host's loopback and abstract unix sockets. System calls are not
// filtered.
//
// Sandboxes outlive the process that started them. All state of one is in its folder, so
// that a new process finds it again; see run.
package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/cgroup"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Config is what a Launcher needs.
type Config struct {
	Folder   string            // absolute path, for the folders of runners and nothing else
	Instance string            // distinguishes Mayflies on a host, [a-z0-9-]; names the control groups
	Agent    string            // path of mayfly-agent on the host
	Programs map[string]string // more to mount: host path → path inside, not below /usr; read-only unless in the runner's home
	Log      *slog.Logger
}

// A Launcher starts and stops sandboxes. It implements [fleet.Launcher].
type Launcher struct {
	config  Config
	bwrap   string // path of bubblewrap
	noNest  bool   // whether bubblewrap can forbid further user namespaces
	sizes   bool   // whether bubblewrap can limit the size of folders in memory
	asRoot  bool
	cache   cache
	groups  cgroup.Tree
	limited bool // whether runners get control groups

	mu   sync.Mutex
	busy map[string]chan struct{} // runners that a Start or Stop works on; closed when that is done; guarded by mu
}

var _ fleet.Launcher = (*Launcher)(nil)

// New returns a launcher after a trial run. The error is [fleet.ErrUnsupported] if bubblewrap is
// not installed or may not create namespaces here.
func New(ctx context.Context, config Config) (*Launcher, error) {
	path, err := exec.LookPath("bwrap")
	if err != nil {
		return nil, fmt.Errorf("%w: bubblewrap is not installed: %w", fleet.ErrUnsupported, err)
	}
	if _, err := os.Stat(config.Agent); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	if err := os.MkdirAll(config.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the sandbox: %w", err)
	}
	config.Log = cmp.Or(config.Log, slog.New(slog.DiscardHandler))
	l := &Launcher{config: config, bwrap: path, asRoot: isRoot(), busy: map[string]chan struct{}{}}
	if err := l.try(ctx); err != nil {
		return nil, err
	}
	l.findGroups()
	l.findCache()
	return l, nil
}

// try finds out which features this bubblewrap has, and whether it may create a sandbox here.
func (l *Launcher) try(ctx context.Context) error {
	help, _ := exec.CommandContext(ctx, l.bwrap, "--help").CombinedOutput()
	l.noNest = bytes.Contains(help, []byte("--disable-userns"))
	l.sizes = bytes.Contains(help, []byte("--size"))
	cmd := exec.CommandContext(ctx, l.bwrap, "--unshare-user", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	become(cmd.SysProcAttr, l.uid("trial"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: bubblewrap cannot create a sandbox here: %w: %s", fleet.ErrUnsupported, err, bytes.TrimSpace(out))
	}
	return nil
}

// findGroups finds out, by creating one, whether runners can get control groups.
func (l *Launcher) findGroups() {
	tree, err := cgroup.Find()
	if err == nil {
		trial := tree.Group("mayfly-" + l.config.Instance)
		if err = trial.Create(cgroup.Limits{CPUs: 1, Memory: 1 << 30, PIDs: 100}); err == nil {
			err = trial.Remove()
		}
	}
	if err != nil {
		l.config.Log.Warn("limits on processors, memory and processes are not enforced in the sandbox", "err", err)
		return
	}
	l.groups, l.limited = tree, true
}

// Limited reports whether the limits of runners are enforced.
func (l *Launcher) Limited() bool { return l.limited }

// Check returns a [fleet.Refusal] if a sandbox does not support a setting of p, else nil. A setting
// is never silently ignored.
func Check(p pool.Pool) error { return check(fleet.SpecOf(p)) }

func check(spec fleet.Spec) error {
	if err := checkNetwork(spec.Network); err != nil {
		return err
	}
	if err := checkMounts(spec.Setup); err != nil {
		return err
	}
	return checkUlimits(spec.Setup)
}

// checkMounts finds settings that only an engine supports.
func checkMounts(s pool.Setup) error {
	if len(s.DNS) > 0 {
		return &fleet.Refusal{
			Key: "dns", Err: errors.New("is not supported by the sandbox, which uses the machine's network"),
			Hint: "set the name servers of the machine, in /etc/resolv.conf, or use a container engine",
		}
	}
	for i, m := range s.Mounts {
		at := fmt.Sprintf("mounts[%d]", i)
		switch {
		case m.OfVolume():
			return &fleet.Refusal{Key: at, Err: fmt.Errorf("%q: the sandbox has no volumes", m.Source), Hint: "mount a folder of this machine by its path"}
		case slices.ContainsFunc(programs(), func(folder string) bool { return m.Target == folder || strings.HasPrefix(m.Target, folder+"/") }):
			return &fleet.Refusal{
				Key: at, Err: fmt.Errorf("%q: the sandbox shares this machine's %s, and nothing can be mounted below it", m.Target, path.Dir(m.Target)),
				Hint: "mount it below /opt or " + pool.Home,
			}
		}
	}
	return nil
}

func checkNetwork(n pool.Network) error {
	if n == pool.NetworkHost || n == pool.NetworkNone {
		return nil
	}
	return &fleet.Refusal{
		Key: "network", Err: fmt.Errorf("%q: the sandbox supports only host and none", n),
		Hint: "set network: host or network: none for the pool, or use a container engine",
	}
}

// The user ids of sandboxes on the host, if root starts them: a range that systemd's list of
// ids on a Linux system shows as unused.
// https://systemd.io/UIDS-GIDS/
const (
	firstUID = 0x70000000
	uids     = 0x0ffe0000
)

// uid returns the user and group id of runner on the host, derived from its name. Two runners
// share one with a probability of 1 in 268 million; then only namespaces separate them.
func (l *Launcher) uid(runner string) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%s", l.config.Instance, runner)
	return firstUID + h.Sum32()%uids
}

func isRoot() bool { return os.Geteuid() == 0 }

// become makes the process of attr run as uid, if this process is root.
func become(attr *syscall.SysProcAttr, uid uint32) {
	if isRoot() {
		attr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
}

// group returns the control group of runner.
func (l *Launcher) group(runner string) cgroup.Group {
	return l.groups.Group("mayfly-" + l.config.Instance + "-" + runner)
}

// hold gives the caller the only right to change runner, until it calls release.
func (l *Launcher) hold(ctx context.Context, runner string) (release func(), err error) {
	for {
		l.mu.Lock()
		other, taken := l.busy[runner]
		if !taken {
			mine := make(chan struct{})
			l.busy[runner] = mine
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				delete(l.busy, runner)
				close(mine)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Wait implements [fleet.Launcher].
func (l *Launcher) Wait(ctx context.Context, runner string) (fleet.Exit, error) {
	r, err := l.find(runner)
	if err != nil {
		return fleet.Exit{}, err
	}
	if err := r.ended(ctx); err != nil {
		return fleet.Exit{}, fmt.Errorf("waiting for runner %s: %w", runner, err)
	}
	exit := r.exit()
	if l.limited {
		if exit.Memory = l.group(runner).Memory(); exit.Memory.Kills > 0 && exit.Note == fleet.NoteKilled {
			exit.Note = fleet.NoteOutOfMemory
		}
	}
	return exit, nil
}

// Stop implements [fleet.Launcher].
func (l *Launcher) Stop(ctx context.Context, runner string, grace time.Duration) error {
	release, err := l.hold(ctx, runner)
	if err != nil {
		return err
	}
	defer release()
	r, err := l.find(runner)
	if errors.Is(err, fleet.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if err := r.stop(ctx, grace); err != nil {
		return fmt.Errorf("stopping runner %s: %w", runner, err)
	}
	return l.remove(r)
}

// remove removes what an ended runner leaves: its group, then its folder. The folder is last,
// because List finds the runner by it.
func (l *Launcher) remove(r run) error {
	if l.limited {
		if err := l.group(r.name()).Remove(); err != nil {
			return err
		}
	}
	return r.remove()
}

// List implements [fleet.Launcher].
func (l *Launcher) List(context.Context) ([]fleet.Container, error) {
	entries, err := os.ReadDir(l.config.Folder)
	if err != nil {
		return nil, fmt.Errorf("listing sandboxes: %w", err)
	}
	var all []fleet.Container
	for _, e := range entries {
		r, err := l.find(e.Name())
		if errors.Is(err, fleet.ErrNotFound) { // it was removed meanwhile
			continue
		} else if err != nil {
			return nil, err
		}
		spec := r.spec()
		all = append(all, fleet.Container{
			Runner: r.name(), Pool: spec.Pool, Job: spec.Job, Running: r.running(), Started: spec.Started,
		})
	}
	return all, nil
}

// Purge stops every runner at once and removes everything that this launcher created. An error
// names what is left.
func (l *Launcher) Purge(ctx context.Context) error {
	all, err := l.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range all {
		errs = append(errs, l.Stop(ctx, c.Runner, 0))
	}
	if left, err := l.List(ctx); err != nil || len(left) > 0 {
		errs = append(errs, fmt.Errorf("%d sandboxes are left: %v", len(left), left), err)
	}
	return errors.Join(errs...)
}

func (l *Launcher) find(runner string) (run, error) {
	r := run{filepath.Join(l.config.Folder, runner)}
	if _, err := os.Stat(r.folder); errors.Is(err, os.ErrNotExist) {
		return run{}, fmt.Errorf("runner %q: %w", runner, fleet.ErrNotFound)
	} else if err != nil {
		return run{}, err
	}
	return r, nil
}
