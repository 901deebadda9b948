package minirunner

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// A refresh is the body of a RunnerRefresh: the version that the runner is to
// become. It obeys even if it has said that it does not update itself.
type refresh struct {
	TargetVersion string `json:"target_version"`
	DownloadURL   string `json:"download_url"`
	Checksum      string `json:"sha256_checksum"`
	OS            string `json:"os"`
}

func (l *listener) updatingCode() int {
	if l.Identity.Ephemeral {
		return ExitUpdatingOnce
	}
	return ExitUpdating
}

// startUpdate updates the runner aside, unless that is under way.
func (l *listener) startUpdate(ctx context.Context, m *message) error {
	var r refresh
	if err := m.decode(&r); err != nil {
		return err
	}
	if l.update != nil {
		return nil
	}
	done, running := make(chan error, 1), l.jobDone()
	l.update = done
	go func() {
		err := l.selfUpdate(ctx, r, running)
		fmt.Fprintln(l.Out, "Runner update process finished.")
		done <- err
	}()
	return nil
}

// selfUpdate gets the runner ready to be another version when it has left
// (SelfUpdaterV2.cs): the new one's bin and externals beside its own, its other
// files in their place, and a script that comes with it, to exchange them.
func (l *listener) selfUpdate(ctx context.Context, r refresh, running <-chan struct{}) error {
	fmt.Fprintln(l.Out, "Runner update in progress, do not shutdown runner.")
	fmt.Fprintf(l.Out, "Downloading %s runner\n", r.TargetVersion)
	staging := filepath.Join(l.Work, "_update")
	if err := l.downloadUpdate(ctx, r, staging); err != nil {
		return err
	}
	if err := l.placeUpdate(r, staging); err != nil {
		return err
	}
	fmt.Fprintln(l.Out, "Waiting for current job finish running.")
	if running != nil {
		<-running
	}
	fmt.Fprintln(l.Out, "Generate and execute update script.")
	if err := l.runUpdateScript(r); err != nil {
		return err
	}
	fmt.Fprintln(l.Out, "Runner will exit shortly for update, should be back online within 10 seconds.")
	return nil
}

// downloadUpdate downloads, checks and unpacks the new version to staging.
func (l *listener) downloadUpdate(ctx context.Context, r refresh, staging string) error {
	if err := os.RemoveAll(staging); err != nil {
		return err
	}
	if err := os.MkdirAll(staging, 0o755); err != nil {
		return err
	}
	archive := filepath.Join(staging, "runner1.tar.gz")
	if err := (&wire.Caller{HTTP: l.HTTP, UserAgent: l.plain.UserAgent}).Save(ctx, r.DownloadURL, archive); err != nil {
		return wire.Said("Runner package '%s' failed after 1 download attempts: %v", r.DownloadURL, err)
	}
	if err := checkSum(archive, r.Checksum); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "tar", "-xzf", archive)
	cmd.Dir = staging
	if printed, err := cmd.CombinedOutput(); err != nil {
		return wire.Said("Can't use 'tar -xzf' to extract archive file: %s: %v: %s", archive, err, printed)
	}
	return os.Remove(archive)
}

// checkSum fails unless a file has the SHA-256 want; empty takes any.
func checkSum(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if is := fmt.Sprintf("%x", sum.Sum(nil)); want != "" && is != want {
		return wire.Said("Computed runner hash %s did not match expected Runner Hash %s for %s", is, want, file)
	}
	return nil
}

// placeUpdate puts the new version beside the one that runs.
func (l *listener) placeUpdate(r refresh, staging string) error {
	for _, name := range []string{"bin", "externals"} {
		from := filepath.Join(staging, name)
		if _, err := os.Stat(from); err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(l.Root, name+"."+r.TargetVersion), os.DirFS(from)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(staging)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := replaceFile(filepath.Join(staging, e.Name()), filepath.Join(l.Root, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile copies a file to where there may be another, perhaps in use.
func replaceFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(to, b, info.Mode().Perm())
}

// runUpdateScript fills in the new version's template and starts it. It waits for
// this process to end.
func (l *listener) runUpdateScript(r refresh) error {
	template, err := os.ReadFile(filepath.Join(l.Root, "bin."+r.TargetVersion, "update.sh.template"))
	if err != nil {
		return err
	}
	log := filepath.Join(l.Root, "_diag", "SelfUpdate-"+l.Now().UTC().Format("20060102-150405")+".log")
	text := strings.NewReplacer(
		"_PROCESS_ID_", strconv.Itoa(os.Getpid()), "_RUNNER_PROCESS_NAME_", "Runner.Listener", "_ROOT_FOLDER_", l.Root,
		"_EXIST_RUNNER_VERSION_", l.Version, "_DOWNLOAD_RUNNER_VERSION_", r.TargetVersion, "_UPDATE_LOG_", log,
		"_RESTART_INTERACTIVE_RUNNER_", "0",
	).Replace(string(template))
	script := filepath.Join(l.Work, "_update.sh")
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		return err
	}
	if err := os.Remove("update.finished"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return exec.Command("bash", script).Start()
}
