package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/cgroup"
)

// Start implements [fleet.Launcher].
func (l *Launcher) Start(ctx context.Context, spec fleet.Spec) error {
	if err := errors.Join(spec.Check(), check(spec)); err != nil {
		return err
	}
	release, err := l.hold(ctx, spec.Runner)
	if err != nil {
		return err
	}
	defer release()
	r, err := l.find(spec.Runner)
	if err == nil && (r.running() || r.status().Child != 0) {
		return nil
	} else if err == nil { // a crash left an unfinished one
		if err := l.remove(r); err != nil {
			return err
		}
	}
	r = run{l.config.Folder + "/" + spec.Runner}
	if err := l.createAndRun(ctx, r, spec); err != nil {
		// Clean up even if the start was cancelled.
		clean := context.WithoutCancel(ctx)
		return errors.Join(fmt.Errorf("starting runner %s: %w", spec.Runner, err), r.stop(clean, 0), l.remove(r))
	}
	return nil
}

func (l *Launcher) createAndRun(ctx context.Context, r run, spec fleet.Spec) error {
	uid := l.uid(spec.Runner)
	if err := l.furnish(r, spec, uid); err != nil {
		return err
	}
	laid, err := l.layAll(ctx, r, uid)
	if err != nil {
		return fmt.Errorf("laying the runner's program into its home: %w", err)
	}
	if l.limited {
		limits := cgroup.Limits{CPUs: spec.Resources.CPUs, Memory: spec.Resources.Memory, PIDs: spec.PIDs}
		if err := l.group(spec.Runner).Create(limits); err != nil {
			return err
		}
	}
	if err := l.launch(r, spec, laid, uid); err != nil {
		return err
	}
	return r.awaitStart(ctx)
}

// furnish creates the folder of r.
func (l *Launcher) furnish(r run, spec fleet.Spec, uid uint32) error {
	rec, err := json.Marshal(record{spec.Pool, spec.Job, time.Now().UTC().Truncate(time.Second), bootID()})
	if err != nil {
		return err
	}
	if err := os.Mkdir(r.folder, 0o700); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"spec.json": rec, "passwd": []byte(passwd), "group": []byte(group)} {
		if err := os.WriteFile(r.path(name), content, 0o644); err != nil {
			return err
		}
	}
	if err := os.Mkdir(r.path("home"), 0o700); err != nil {
		return err
	}
	if l.asRoot {
		return os.Chown(r.path("home"), int(uid), int(uid))
	}
	return nil
}

// launch starts bubblewrap for r.
func (l *Launcher) launch(r run, spec fleet.Spec, laid []binding, uid uint32) error {
	log, err := os.OpenFile(r.path("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	status, err := os.OpenFile(r.path("status"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer status.Close()
	// The lock belongs to the open file, which bubblewrap inherits and so keeps locked; see run.
	if err := syscall.Flock(int(status.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err
	}

	var sources stage
	if l.asRoot {
		sources.folder = stageFolder
	}
	args := append(limiting(spec.Setup), l.bwrap)
	args = append(args, l.arguments(r, spec, laid, &sources)...)
	args = append(args, spec.Args()...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{} // not nil, which would mean this process's environment
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{status}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C for this process must not reach runners
	become(cmd.SysProcAttr, uid)
	cgroup.OnThread(func() { err = l.fork(cmd, spec.Runner, sources) })
	if err != nil {
		return err
	}
	go cmd.Wait() // only to reap it: status tells how it ended
	return nil
}

// fork starts cmd from a thread whose mounts and control groups it inherits.
func (l *Launcher) fork(cmd *exec.Cmd, runner string, sources stage) error {
	if err := sources.mount(); err != nil {
		return err
	}
	if l.limited {
		release, err := l.group(runner).Enter(syscall.Gettid(), cmd.SysProcAttr)
		if err != nil {
			return err
		}
		defer release()
	}
	// Runners must not inherit files that this process inherited without close-on-exec.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("closing inherited files: %w", err)
	}
	return cmd.Start()
}
