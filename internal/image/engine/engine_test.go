package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
	"github.com/mayfly-ci/mayfly/internal/image/source"
	"github.com/mayfly-ci/mayfly/internal/programtest"

	_ "github.com/mayfly-ci/mayfly/internal/agent"             // in the programs that TestMain builds, which
	_ "github.com/mayfly-ci/mayfly/internal/github/minirunner" // go test's cache of results does not see
)

// programs is a folder with mayfly-agent and an archive of a stand-in for GitHub's
// runner.
var programs string

const (
	version   = "2.999.0"
	labelTest = "mayfly.test" // of what a test makes
)

func TestMain(m *testing.M) {
	os.Exit(programtest.Main(m, func(dir string) error {
		programs = dir
		if err := programtest.Build(dir, "mayfly-agent", "mayfly-minirunner"); err != nil {
			return err
		}
		pack := exec.Command("../../../scripts/standin-archive", filepath.Join(dir, "mayfly-minirunner"), version, standin())
		if out, err := pack.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", pack, err, out)
		}
		return nil
	}))
}

func standin() string { return filepath.Join(programs, archive.Actions.File(version, runtime.GOARCH)) }

// A workshop is a builder on a Podman of the test's own, with an image to build on
// that is made of this machine's tools.
type workshop struct {
	*Builder
	base string
}

func open(t *testing.T) workshop {
	t.Helper()
	b, err := New(t.Context(), dockertest.Serve(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	w := workshop{b, hosttools.NewName("image-test")}
	tools := dockertest.Base()
	tools.Owner = w.base
	image, err := hosttools.Build(tools)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Config.Labels = map[string]string{labelTest: w.base} // of all that is built on it
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := errors.Join(hosttools.Write(&packed, w.base, image), b.Load(t.Context(), &packed)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, b.RemoveImage, w.base) })
	return w
}

// request is for an image of what is there.
func (w workshop) request(t *testing.T) Request {
	t.Helper()
	runner, err := archive.Open(archive.Actions, standin(), runtime.GOARCH, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return Request{Source: source.Embedded(), Agent: filepath.Join(programs, "mayfly-agent"), Runner: runner, Base: w.base}
}

// build builds an image that goes with the test.
func (w workshop) build(t *testing.T, r Request) Image {
	t.Helper()
	i, err := w.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, w.Remove, i.Digest) })
	return i
}

// remove removes an image. Podman has a container of it for a moment yet after a build that was
// given up, and after the last container of others has gone.
func remove(t *testing.T, do func(context.Context, string) error, image string) {
	t.Helper()
	for begun := time.Now(); ; <-time.After(100 * time.Millisecond) {
		if err := do(context.Background(), image); err == nil {
			return
		} else if time.Since(begun) > 30*time.Second {
			t.Error(err)
			return
		}
	}
}

// inside returns what script prints in a container of image.
func inside(t *testing.T, image, script string) string {
	t.Helper()
	args := append(docker.Flags(), "run", "--rm", "--network=none", "--ulimit=nofile=8192:16384", "--ulimit=nproc=16384:32768",
		"--entrypoint", "bash", image, "-c", script)
	out, err := exec.Command("podman", args...).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestEngine(t *testing.T) {
	w := open(t)
	for name, test := range map[string]func(*testing.T, workshop){
		"build":            testBuild,
		"own source":       testOwnSource,
		"failing builds":   testFailingBuilds,
		"given up":         testGivenUp,
		"none of a runner": testNoneOfARunner,
	} {
		t.Run(name, func(t *testing.T) { test(t, w) })
	}
}

// testBuild: the image is what its description says, and can be found again.
func testBuild(t *testing.T, w workshop) {
	r := w.request(t)
	var log bytes.Buffer
	r.Log = &log
	begin := time.Now().UTC().Truncate(time.Second)
	i := w.build(t, r)
	if i.Built.Before(begin) || i.Bytes == 0 || !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(i.Digest) {
		t.Errorf("%+v", i)
	}
	if want := Repository + ":" + version + "-" + r.Source.Revision + "-"; !strings.HasPrefix(i.Tag, want) {
		t.Errorf("tag %s, want %s…", i.Tag, want)
	}
	want := Image{
		Digest: i.Digest, Tag: i.Tag, Version: version, SHA256: r.Runner.SHA256, Revision: source.Embedded().Revision, Base: w.base,
		Architecture: runtime.GOARCH, Built: i.Built, Bytes: i.Bytes,
	}
	if diff := cmp.Diff(want, i); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{"COPY mayfly-agent", "actions-runner.tar.gz: OK", "mayfly-agent unknown"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log lacks %q:\n%s", line, &log)
		}
	}
	for _, ref := range []string{i.Digest, i.Tag} {
		if again, err := w.Inspect(t.Context(), ref); err != nil || again != i {
			t.Errorf("Inspect(%s) = %+v, %v", ref, again, err)
		}
	}
	newer := w.build(t, w.request(t))
	if newer.Digest == i.Digest {
		t.Fatal("two builds, one image")
	}
	foreign := w.foreign(t, i)
	all, err := w.List(t.Context())
	_, removed := w.api.ImageRemove(t.Context(), foreign, client.ImageRemoveOptions{Force: true})
	if err := errors.Join(err, removed); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(all, func(i Image) bool { return i.Digest == foreign }) {
		t.Errorf("image %s is listed, whose version nobody knows", foreign)
	}
	at, before := slices.Index(all, i), slices.Index(all, newer)
	if at < 0 || before < 0 || before > at && newer.Built.After(i.Built) {
		t.Errorf("%+v: want the newer before the older", all)
	}
	w.checkHistory(t, i)
	checkInside(t, i)
	checkUpdate(t, i)
	w.checkRemoval(t, newer)
	w.nothingLeft(t, i)
}

// foreign makes an image from i that says nothing of its runner's version, as somebody else's can.
func (w workshop) foreign(t *testing.T, i Image) string {
	t.Helper()
	c, err := w.api.ContainerCreate(t.Context(), client.ContainerCreateOptions{Config: &container.Config{Image: i.Digest}})
	if err != nil {
		t.Fatal(err)
	}
	made, err := w.api.ContainerCommit(t.Context(), c.ID, client.ContainerCommitOptions{
		Reference: "localhost/mayfly-foreign:" + strings.ToLower(rand.Text()), Config: &container.Config{}, Changes: []string{`LABEL io.mayfly.runner-version=""`},
	})
	if _, removed := w.api.ContainerRemove(t.Context(), c.ID, client.ContainerRemoveOptions{Force: true}); err != nil || removed != nil {
		t.Fatal(err, removed)
	}
	return made.ID
}

// checkHistory: how an image came to be can be read from it.
func (w workshop) checkHistory(t *testing.T, i Image) {
	t.Helper()
	there, err := w.api.ImageInspect(t.Context(), i.Digest)
	if err != nil {
		t.Fatal(err)
	}
	c := there.Config
	if diff := cmp.Diff([]any{"runner", []string{"/opt/mayfly/mayfly-agent"}, []string{"--", "/home/runner/run.sh"}}, []any{c.User, c.Entrypoint, c.Cmd}); diff != "" {
		t.Error(diff)
	}
	for label, want := range map[string]string{
		"org.opencontainers.image.version": version, "org.opencontainers.image.revision": i.Revision,
		"org.opencontainers.image.created": i.Built.Format(time.RFC3339), "org.opencontainers.image.base.name": w.base,
		"org.opencontainers.image.title": "Mayfly runner", "io.mayfly.runner-version": version, "io.mayfly.runner-sha256": i.SHA256,
	} {
		if c.Labels[label] != want {
			t.Errorf("label %s is %q, want %q", label, c.Labels[label], want)
		}
	}
	history, err := w.api.ImageHistory(t.Context(), i.Digest)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, h := range history.Items {
		all.WriteString(h.CreatedBy + "\n")
	}
	for _, want := range []string{"mayfly-agent", "USER runner", "/home/runner", "chmod ug-s"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("history lacks %q:\n%s", want, &all)
		}
	}
	if strings.Contains(all.String(), "COPY actions-runner.tar.gz") {
		t.Error("the archive is a layer of the image")
	}
}

// nothingLeft: of builds there are the images that are meant to be, and nothing else.
func (w workshop) nothingLeft(t *testing.T, images ...Image) {
	t.Helper()
	var found client.ImageListResult
	err := again(t.Context(), func() (err error) {
		found, err = w.api.ImageList(t.Context(), client.ImageListOptions{Filters: client.Filters{}.Add("label", labelTest+"="+w.base)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found.Items {
		meant := slices.ContainsFunc(images, func(i Image) bool { return i.Digest == f.ID })
		if !meant && !slices.Contains(f.RepoTags, w.base) {
			t.Errorf("left: %s %v %v", f.ID, f.RepoTags, f.Labels)
		}
	}
}

// setuid lists what may be setuid or setgid: nothing.
var setuid = []string{}

// checkInside: the user is nobody special, and no program makes him so.
func checkInside(t *testing.T, i Image) {
	t.Helper()
	got := inside(t, i.Digest, `id -un; id -u; pwd; test -w . && test -w bin && echo writable; bin/Runner.Listener --version
		test -w /opt/mayfly/mayfly-agent || echo agent is safe; test -w $AGENT_TOOLSDIRECTORY && echo tools; for tool in git curl jq tar zstd; do command -v $tool >/dev/null || echo no $tool; done`)
	if want := "runner\n1001\n/home/runner\nwritable\n" + version + "\nagent is safe\ntools\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	found := strings.Fields(inside(t, i.Digest, `find / -xdev -type f -perm /6000 2>/dev/null; true`))
	if diff := cmp.Diff(setuid, found); diff != "" {
		t.Errorf("setuid or setgid: %s", diff)
	}
}

// checkUpdate: the runner of the image updates itself, although bin and externals are in a layer below the container's: there
// the kernel refuses to rename a folder, and the runner's update script must copy it.
// https://docs.kernel.org/filesystems/overlayfs.html#renaming-directories
func checkUpdate(t *testing.T, i Image) {
	t.Helper()
	got := inside(t, i.Digest, `export MAYFLY_TEST_UPDATE=1; ./run.sh 2>&1 | grep -e Update.finished -e Restarting; cat _diag/SelfUpdate.log
		for folder in bin externals; do readlink $folder; done; ls -d bin.* externals.*; bin/Runner.Listener --version`)
	want := "Update finished successfully.\nRestarting runner...\n/home/runner/bin.2.337.0\n/home/runner/externals.2.337.0\n" +
		"bin.2.336.0\nbin.2.337.0\nexternals.2.336.0\nexternals.2.337.0\n" + version + "\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// testOwnSource builds from a folder, with a setuid program in the image, one file more
// and a runner that needs a library.
func testOwnSource(t *testing.T, w workshop) {
	dir := t.TempDir()
	if err := source.Embedded().Eject(dir, false); err != nil {
		t.Fatal(err)
	}
	edit(t, dir, "USER runner\n", "COPY tools/hello /usr/local/bin/hello\nUSER runner\n")
	edit(t, dir, "ARG DOCKER=no\n", "ARG DOCKER=no\nRUN cp /bin/true /usr/bin/trap && chmod 6755 /usr/bin/trap\n")
	hello := filepath.Join(dir, "tools", "hello")
	if err := errors.Join(os.Mkdir(filepath.Dir(hello), 0o755), os.WriteFile(hello, []byte("#!/bin/sh\necho hello\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	own, err := source.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := w.request(t)
	r.Source, r.Runner = own, needy(t)
	i := w.build(t, r)
	if i.Revision != own.Revision || i.Revision == source.Embedded().Revision {
		t.Errorf("revision %s, want %s", i.Revision, own.Revision)
	}
	if got := inside(t, i.Digest, "hello; stat -c %a /usr/bin/trap; ls; bin/Runner.Listener --version"); got != "hello\n755\nbin\nrun.sh\nversion\n"+version+"\n" {
		t.Errorf("%q", got)
	}
}

// needy packs a runner that starts only where its own script has installed a library,
// and leaves logs of root's when it tries, as GitHub's does.
func needy(t *testing.T) archive.File {
	t.Helper()
	file := filepath.Join(t.TempDir(), "needy.tar.gz")
	pack := exec.Command("bash", "-euc", `cd "$1"; tar -xzf "$2"
		mv bin/Runner.Listener bin/listener
		printf '#!/bin/sh\nmkdir -p _diag; [ -e /usr/lib/library ] && exec bin/listener "$@"; exit 134\n' >bin/Runner.Listener
		printf '#!/bin/sh\ntouch /usr/lib/library\n' >bin/installdependencies.sh
		chmod 0755 bin/*; tar -czf "$3" run.sh version bin`, "bash", t.TempDir(), standin(), file)
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := archive.Open(archive.Actions, file, runtime.GOARCH, version, "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func edit(t *testing.T, dir, old, new string) {
	t.Helper()
	file := filepath.Join(dir, source.Dockerfile)
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), old) {
		t.Fatalf("%v: no %q in %s", err, old, file)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// testFailingBuilds: no image, and an error that tells the step and what it printed.
func testFailingBuilds(t *testing.T, w workshop) {
	for name, c := range map[string]struct {
		spoil func(*Request)
		want  []string
	}{
		"wrong checksum": { // which the Dockerfile finds by itself, too
			func(r *Request) { r.Runner.SHA256 = strings.Repeat("0", 64) },
			[]string{"RUN set -eu; echo", "actions-runner.tar.gz: FAILED"},
		},
		"no checksum": {func(r *Request) { r.Runner.SHA256 = "" }, []string{"want the SHA-256"}},
		"other version": {
			func(r *Request) { r.Runner.Version = "2.998.0" },
			[]string{"version is 2.999.0, RUNNER_VERSION says 2.998.0"},
		},
		"failing step": {
			func(r *Request) {
				r.Source = source.Source{Revision: "0", FS: fstest.MapFS{source.Dockerfile: {Data: []byte(
					"ARG BASE\nFROM ${BASE}\nARG BUILD\nLABEL io.mayfly.build=${BUILD} io.mayfly.image=part\nRUN true\nRUN for i in $(seq 30); do echo line $i; done; echo oops; exit 3\n",
				)}}}
			},
			[]string{"RUN for i in", "exit status 3", "| line 30", "| oops"},
		},
		"no Dockerfile": {func(r *Request) { r.Source = source.Source{FS: fstest.MapFS{}} }, []string{"Dockerfile"}},
		"not a base":    {func(r *Request) { r.Base = "localhost/no-such-image:latest" }, []string{"localhost/no-such-image"}},
		"no labels": {
			func(r *Request) {
				r.Source = source.Source{FS: fstest.MapFS{source.Dockerfile: {Data: []byte("ARG BASE\nFROM ${BASE}\nARG BUILD\nLABEL io.mayfly.build=${BUILD}\n")}}}
			},
			[]string{source.LabelVersion},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.request(t)
			c.spoil(&r)
			i, err := w.Build(t.Context(), r)
			if err == nil {
				t.Fatalf("built %+v", i)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in:\n%v", want, err)
				}
			}
			if n := strings.Count(err.Error(), "\n"); n > maxLines {
				t.Errorf("%d lines:\n%v", n, err)
			}
			w.nothingLeft(t)
		})
	}
}

// testGivenUp: a build whose caller has gone ends with it.
func testGivenUp(t *testing.T, w workshop) {
	ctx, cancel := context.WithCancel(t.Context())
	r := w.request(t)
	r.Log = writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "FROM") {
			cancel()
		}
		return len(p), nil
	})
	if _, err := w.Build(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was given up", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// checkRemoval: an image goes when its last container has, and not before.
func (w workshop) checkRemoval(t *testing.T, i Image) {
	t.Helper()
	name := fmt.Sprintf("mayfly-image-test-%d", os.Getpid())
	podman := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("podman", append(docker.Flags(), args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	podman("create", "--name", name, "--network=none", "--ulimit=nofile=8192:16384", "--ulimit=nproc=16384:32768", i.Digest)
	if err := w.Remove(t.Context(), i.Digest); !errors.Is(err, ErrInUse) {
		t.Errorf("%v, want %v", err, ErrInUse)
	}
	if again, err := w.Inspect(t.Context(), i.Digest); err != nil || again != i {
		t.Errorf("%+v, %v: want it as it was", again, err)
	}
	podman("rm", name)
	for range 2 {
		if err := w.Remove(t.Context(), i.Digest); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.Inspect(t.Context(), i.Digest); !errdefs.IsNotFound(err) {
		t.Errorf("%v, want that it is gone", err)
	}
}

func testNoneOfARunner(t *testing.T, w workshop) {
	if i, err := w.Inspect(t.Context(), w.base); err == nil || !strings.Contains(err.Error(), w.base) {
		t.Errorf("%+v, %v: want an error", i, err)
	}
}
