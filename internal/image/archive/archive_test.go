package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pack returns an archive with files of those names, and its checksum.
func pack(t testing.TB, names ...string) (content []byte, sum string) {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	out := tar.NewWriter(zipped)
	for _, name := range names {
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(out.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(b.Bytes())
	return b.Bytes(), hex.EncodeToString(hash[:])
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOpen(t *testing.T) {
	good, sum := pack(t, "./run.sh", "./bin/Runner.Listener")
	bare, _ := pack(t, "./run.sh")
	const name = "actions-runner-linux-x64-2.336.0.tar.gz"
	for _, c := range []struct {
		what         string
		name         string
		content      []byte
		version, sum string
		want         error
	}{
		{"as GitHub names it", name, good, "", "", nil},
		{"checksum given", name, good, "", strings.ToUpper(sum), nil},
		{"version given", "runner.tgz", good, "2.336.0", sum, nil},
		{"no version", "runner.tgz", good, "", "", ErrVersion},
		{"wrong checksum", name, good, "", strings.Repeat("0", 64), ErrChecksum},
		{"cut short", name, good[:len(good)-20], "", sum, ErrChecksum},
		{"other processor", "actions-runner-linux-arm64-2.336.0.tar.gz", good, "", "", ErrContent},
		{"half a runner", name, bare, "", "", ErrContent},
		{"no archive", name, []byte("<html>"), "", "", ErrContent},
		{"nothing", name, nil, "", "", ErrContent},
	} {
		file := write(t, c.name, c.content)
		f, err := Open(Actions, file, "amd64", c.version, c.sum)
		switch {
		case !errors.Is(err, c.want):
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		case c.want != nil && !strings.Contains(err.Error(), file):
			t.Errorf("%s: %v does not name the file", c.what, err)
		case c.want == nil:
			if diff := cmp.Diff(File{Path: file, Version: "2.336.0", SHA256: sum}, f); diff != "" {
				t.Errorf("%s: %s", c.what, diff)
			}
		}
	}
}

func FuzzContent(f *testing.F) {
	good, _ := pack(f, "./run.sh", "./bin/Runner.Listener")
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := checkContent(Actions, bytes.NewReader(content)); err != nil && !errors.Is(err, ErrContent) {
			t.Errorf("%v, want ErrContent", err)
		}
	})
}

// downloads serves an archive where GitHub does, after answers that bring none, and
// remembers how long the fetcher waited between.
type downloads struct {
	content []byte
	refuse  []func(http.ResponseWriter)
	asked   int
	waited  []time.Duration
}

func (d *downloads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.asked++
	if r.URL.Path != "/"+Actions.Path("2.336.0", runtime.GOARCH) {
		http.NotFound(w, r)
		return
	}
	if len(d.refuse) > 0 {
		d.refuse[0](w)
		d.refuse = d.refuse[1:]
		return
	}
	w.Write(d.content)
}

func (d *downloads) fetcher(t *testing.T) Fetcher {
	t.Helper()
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	return Fetcher{Product: Actions, Base: server.URL, Dir: filepath.Join(t.TempDir(), "archives"), Pause: func(_ context.Context, p time.Duration) error {
		d.waited = append(d.waited, p)
		return nil
	}}
}

func status(code int, after string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", after)
		w.WriteHeader(code)
	}
}

// cut breaks the connection in the middle of the archive.
func cut(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "1000")
	w.Write([]byte("half"))
}

func TestFetch(t *testing.T) {
	good, sum := pack(t, "./run.sh", "./bin/Runner.Listener")
	d := &downloads{content: good, refuse: []func(http.ResponseWriter){status(403, "60"), status(429, ""), status(502, ""), cut}}
	f := d.fetcher(t)
	var got, total int64
	f.Progress = func(g, t int64) { got, total = g, t }
	for range 2 {
		file, err := f.Fetch(t.Context(), runtime.GOARCH, "2.336.0", sum)
		if err != nil || file.Version != "2.336.0" || file.SHA256 != sum {
			t.Fatalf("%+v, %v", file, err)
		}
	}
	if want := []time.Duration{time.Minute, 4 * time.Second, 8 * time.Second, 16 * time.Second}; !cmp.Equal(want, d.waited) {
		t.Errorf("waited %v, want %v", d.waited, want)
	}
	if d.asked != 5 {
		t.Errorf("asked %d times, want 5: the second time the file was there", d.asked)
	}
	if got != int64(len(good)) || total != got {
		t.Errorf("progress ended at %d of %d, want %d", got, total, len(good))
	}
}

func TestFetchGivesUp(t *testing.T) {
	good, sum := pack(t, "./run.sh", "./bin/Runner.Listener")
	var always []func(http.ResponseWriter)
	for range fetchTries {
		always = append(always, status(403, ""))
	}
	for _, c := range []struct {
		what         string
		downloads    downloads
		version, sum string
		asked        int
		want         string
	}{
		{"no such version", downloads{content: good}, "2.0.0", sum, 1, "404"},
		{"refused again and again", downloads{refuse: always}, "2.336.0", sum, fetchTries, "403"},
		{"for an hour", downloads{refuse: []func(http.ResponseWriter){status(429, "3600")}}, "2.336.0", sum, 1, "429"},
		{"another archive", downloads{content: good}, "2.336.0", strings.Repeat("0", 64), 1, "want " + strings.Repeat("0", 64)},
		{"no checksum", downloads{content: good}, "2.336.0", "", 0, "wrong checksum"},
	} {
		f := c.downloads.fetcher(t)
		_, err := f.Fetch(t.Context(), runtime.GOARCH, c.version, c.sum)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.downloads.asked != c.asked {
			t.Errorf("%s: asked %d times, %v; want %d times, %q", c.what, c.downloads.asked, err, c.asked, c.want)
		}
		if left, _ := os.ReadDir(f.Dir); len(left) > 0 {
			t.Errorf("%s: left %v", c.what, left)
		}
	}
}

func TestName(t *testing.T) {
	for arch, want := range map[string]string{
		"amd64": "actions-runner-linux-x64-2.336.0.tar.gz", "arm64": "actions-runner-linux-arm64-2.336.0.tar.gz", "riscv64": "",
	} {
		if got := Actions.File("2.336.0", arch); got != want {
			t.Errorf("%s: %q, want %q", arch, got, want)
		}
	}
}
