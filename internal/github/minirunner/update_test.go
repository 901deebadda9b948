package minirunner_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner"
)

// archive packs files, by their names.
func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	to := tar.NewWriter(zip)
	for name, text := range files {
		err := to.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = to.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// newRelease is a version to update to. Its script is told where and what.
func newRelease(t *testing.T) []byte {
	return archive(t, map[string]string{
		"bin/Runner.Listener": "new", "externals/node20/bin/node": "new", "run.sh": "new run",
		"bin/update.sh.template": "echo _EXIST_RUNNER_VERSION_ _DOWNLOAD_RUNNER_VERSION_ _RUNNER_PROCESS_NAME_ > \"_ROOT_FOLDER_/updated\"\n",
	})
}

func (f *fake) refresh(release []byte, checksum string) {
	f.files["/release"] = release
	f.message("RunnerRefresh", object{
		"target_version": "2.337.0", "download_url": f.url + "/release", "sha256_checksum": checksum, "os": "linux",
	})
}

// TestUpdate: GitHub wants another version, and a runner obeys even if it said that
// it does not update itself. Who started it exchanges the folders and starts it again.
func TestUpdate(t *testing.T) {
	f := newFake(t)
	release := newRelease(t)
	f.refresh(release, fmt.Sprintf("%x", sha256.Sum256(release)))
	c := f.config()
	if err := os.WriteFile(filepath.Join(c.Root, "run.sh"), []byte("old run"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := start(t.Context(), t, c)
	code, out := r.wait()
	exited(t, code, minirunner.ExitUpdatingOnce, out)
	has(t, out, "Runner update in progress, do not shutdown runner.\nDownloading 2.337.0 runner\nWaiting for current job finish running.\n"+
		"Generate and execute update script.\nRunner will exit shortly for update, should be back online within 10 seconds.\n"+
		"Runner update process finished.\n")
	until(t, func() bool { return read(filepath.Join(r.root, "updated")) == "2.336.0 2.337.0 Runner.Listener\n" })
	for path, want := range map[string]string{
		"bin.2.337.0/Runner.Listener": "new", "externals.2.337.0/node20/bin/node": "new", "run.sh": "new run",
	} {
		if got := read(filepath.Join(r.root, path)); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
	if !configured(r.root) || f.count("DELETE /broker/session") != 1 {
		t.Error("the configuration is gone, or the session is not")
	}
}

// TestUpdateAfterJob: the job that runs ends first, and no other is taken.
func TestUpdateAfterJob(t *testing.T) {
	end := filepath.Join(t.TempDir(), "end")
	f := newFake(t, script("long", "until [ -e "+end+" ]; do sleep 0.01; done", "success()"))
	release := newRelease(t)
	f.offer()
	f.refresh(release, "")
	c := f.config()
	c.Identity.Ephemeral = false
	r := start(t.Context(), t, c)
	until(t, func() bool { return bytes.Contains([]byte(r.out.String()), []byte("Waiting for current job")) })
	os.WriteFile(end, nil, 0o600)
	code, out := r.wait()
	exited(t, code, minirunner.ExitUpdating, out)
	has(t, out, "completed with result: Succeeded")
	until(t, func() bool { return read(filepath.Join(r.root, "updated")) != "" }) // by a process that outlives the runner
}

func TestUpdateRefused(t *testing.T) {
	for want, prepare := range map[string]func(f *fake){
		"Computed runner hash ": func(f *fake) { f.refresh(newRelease(f.t), "0123") },
		"update.sh.template":    func(f *fake) { f.refresh(archive(f.t, map[string]string{"bin/x": "", "externals/x": ""}), "") },
		"externals":             func(f *fake) { f.refresh(archive(f.t, map[string]string{"bin/x": ""}), "") },
		"extract archive file":  func(f *fake) { f.refresh([]byte("no archive"), "") },
	} {
		f := newFake(t)
		prepare(f)
		code, out := start(t.Context(), t, f.config()).wait()
		exited(t, code, minirunner.ExitRetryable, out)
		has(t, out, "An error occurred: ", want, "Runner update process finished.\n")
	}
}
