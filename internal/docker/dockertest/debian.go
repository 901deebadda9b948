package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/mayfly-ci/mayfly/internal/docker"
)

// A Debian is an image of Debian packages.
type Debian struct {
	Packages []string
	Hooks    []string          // shell commands after these are installed, with the root folder in $1
	Links    map[string]string // symbolic links that are added; mmdebstrap empties /run
	Programs map[string]string // programs of this host that are added, by their path in the image
	Command  []string          // that a registry's image runs
	Changes  []string          // of the image's configuration, as in a Dockerfile: USER runner
}

// suite is a release of Debian whose Podman is recent enough for an engine in a container.
const suite = "trixie"

// Runner returns the image of a runner in the packages that it has with image.docker: true,
// where setUp, such as commands that add the runner's program, come last.
func Runner(setUp ...string) Debian {
	return Debian{
		Packages: []string{
			"ca-certificates", "podman", "runc", "uidmap", "passt", "netavark", "aardvark-dns", "nftables", "docker-cli", "docker-compose",
			"sudo", "git", "curl", "jq", "zstd", "procps",
		},
		Hooks: append([]string{
			`chroot "$1" useradd --create-home --uid 1001 --shell /bin/bash runner`,
			`echo runner:100000:65536 | tee "$1/etc/subuid" > "$1/etc/subgid"`,
			`echo 'runner ALL=(ALL) NOPASSWD: ALL' > "$1/etc/sudoers.d/runner"`,
			`install -d -m 1777 "$1/usr/share/GitHubActionsService"`,
		}, setUp...),
		Links:   map[string]string{"/run/docker.sock": "/var/lib/mayfly/docker.sock"},
		Changes: []string{"USER runner", "ENV HOME=/home/runner", "ENV USER=runner", "ENV LANG=C.UTF-8", "WORKDIR /home/runner"},
	}
}

// Load gives the engine on socket the image, called ref, until the test is over.
func (d Debian) Load(t testing.TB, socket, ref string) {
	t.Helper()
	root, err := os.Open(d.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	whole, err := d.withPrograms(root)
	if err != nil {
		t.Fatal(err)
	}
	api, err := docker.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	told, err := api.ImageImport(t.Context(), client.ImageImportSource{Source: whole, SourceName: "-"}, ref, client.ImageImportOptions{Changes: d.Changes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := docker.NewImages(api).RemoveImage(context.Background(), ref); err != nil {
			t.Error(err)
		}
	})
	if _, err := io.Copy(io.Discard, told); err != nil {
		t.Fatal(err)
	}
}

// withPrograms adds d's programs and links to an archive, for everybody, behind its last file.
func (d Debian) withPrograms(root io.ReadSeeker) (io.Reader, error) {
	end, in := int64(0), tar.NewReader(root)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		at, err := root.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		const block = 512
		end = at + (header.Size+block-1)/block*block
	}
	if _, err := root.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var added bytes.Buffer
	out := tar.NewWriter(&added)
	for inside, host := range d.Programs {
		program, err := os.ReadFile(host)
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Name: strings.TrimPrefix(inside, "/"), Mode: 0o755, Size: int64(len(program))}
		if err := out.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := out.Write(program); err != nil {
			return nil, err
		}
	}
	for inside, to := range d.Links {
		header := &tar.Header{Typeflag: tar.TypeSymlink, Name: strings.TrimPrefix(inside, "/"), Linkname: to, Mode: 0o777}
		if err := out.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	return io.MultiReader(io.LimitReader(root, end), &added), out.Close()
}

// Root returns the file system of the image, as a tar archive. It takes mmdebstrap a minute to make,
// and is kept for later tests, by what is in it. Where it cannot be made the test is skipped, loudly.
func (d Debian) Root(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		lacking(t, errors.New("mmdebstrap makes images as root"))
	}
	program, err := exec.LookPath("mmdebstrap")
	if err != nil {
		lacking(t, fmt.Errorf("%w: scripts/setup test installs it", err))
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	args := []string{"--quiet", "--variant=minbase", "--include=" + strings.Join(d.Packages, ",")}
	for _, h := range d.Hooks {
		args = append(args, "--customize-hook="+h)
	}
	sum := sha256.Sum256([]byte(strings.Join(args, "\n")))
	kept := filepath.Join(cache, "mayfly-test", suite+"-"+hex.EncodeToString(sum[:8])+".tar")
	if _, err := os.Stat(kept); err == nil {
		return kept
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(t.TempDir(), "root.tar")
	if printed, err := exec.CommandContext(t.Context(), program, append(args, suite, made)...).CombinedOutput(); err != nil {
		lacking(t, fmt.Errorf("mmdebstrap: %w\n%s", err, printed))
	}
	if printed, err := exec.Command("mv", made, kept).CombinedOutput(); err != nil { // over file systems, too
		t.Fatalf("keeping %s: %v: %s", kept, err, printed)
	}
	return kept
}
