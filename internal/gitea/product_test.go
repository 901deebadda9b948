package gitea_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/gitea"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/release"
)

// latest is the answer of a Gitea to releases/latest, with the fields of its Release and Attachment
// (modules/structs/release.go and attachment.go of Gitea 1.26), and files as .goreleaser.yaml of the runner names them.
const latest = `{"id": 71, "tag_name": "v3.3.2", "target_commitish": "main", "name": "v3.3.2", "body": "## Changelog", "url": "https://gitea.com/api/v1/repos/gitea/runner/releases/71",
 "html_url": "https://gitea.com/gitea/runner/releases/tag/v3.3.2", "draft": false, "prerelease": false, "created_at": "2026-08-31T10:00:00Z", "published_at": "2026-08-31T10:05:00Z",
 "assets": [{"id": 1, "name": "gitea-runner-3.3.2-linux-amd64", "size": 22500000, "download_count": 1, "created_at": "2026-08-31T10:01:00Z", "uuid": "u",
  "browser_download_url": "https://gitea.com/gitea/runner/releases/download/v3.3.2/gitea-runner-3.3.2-linux-amd64"}]}`

const program = "\x7fELF and so on"

// dl is gitea.com with the release, and dl.gitea.com with its files.
func dl(t *testing.T, sumOf func(string) string) (feed release.Feed, asked *[]string) {
	t.Helper()
	asked = new([]string)
	sum := sha256.Sum256([]byte(program))
	files := map[string]string{"/api/v1/repos/gitea/runner/releases/latest": latest}
	for _, arch := range []string{"amd64", "arm64"} {
		name := "/gitea-runner/3.3.2/gitea-runner-3.3.2-linux-" + arch
		files[name], files[name+".sha256"] = program, sumOf(hex.EncodeToString(sum[:])+"  gitea-runner-3.3.2-linux-"+arch) // no line feed: .goreleaser.checksum.sh has echo -n
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.Path)
		body, ok := files[r.URL.Path]
		if !ok || body == "" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return release.Feed{Product: gitea.Product, URL: server.URL + "/api/v1", Downloads: server.URL + "/gitea-runner"}, asked
}

func same(s string) string { return s }

// TestRelease: the newest release is found with its checksums, fetched, and nothing is asked that is not there.
func TestRelease(t *testing.T) {
	feed, asked := dl(t, same)
	answer, err := feed.Latest(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	got := answer.(image.Released).Release
	if got.Version != "3.3.2" || len(got.SHA256) != 2 || !got.Lasting || !got.Published.Equal(time.Date(2026, 8, 31, 10, 5, 0, 0, time.UTC)) {
		t.Errorf("%+v", got)
	}
	if earlier, err := feed.Earlier(t.Context()); earlier != nil || err != nil || len(*asked) != 3 {
		t.Errorf("%v, %v, after %v: want no question", earlier, err, *asked)
	}
	fetcher := archive.Fetcher{Product: gitea.Product, Base: feed.Downloads, Dir: t.TempDir()}
	file, err := fetcher.Fetch(t.Context(), "arm64", "3.3.2", got.SHA256["arm64"])
	if err != nil || !file.Program || !strings.HasSuffix(file.Path, "/gitea-runner-3.3.2-linux-arm64") {
		t.Errorf("%+v, %v: want the program", file, err)
	}
	if _, err := fetcher.Fetch(t.Context(), "arm64", "3.3.2", strings.Repeat("0", 64)); !errors.Is(err, archive.ErrChecksum) {
		t.Errorf("with another checksum: %v", err)
	}
	if named, arch, ok := gitea.Product.ReadName("/tmp/gitea-runner-3.3.2-linux-arm64"); named != "3.3.2" || arch != "arm64" || !ok {
		t.Errorf("read as %s, %s, %v", named, arch, ok)
	}
	for _, name := range []string{"gitea-runner-3.3.2-linux-arm64.xz", "gitea-runner-nightly-linux-amd64", "gitea-runner-3.3.2-linux-s390x", "gitea-runner"} {
		if named, arch, ok := gitea.Product.ReadName(name); ok {
			t.Errorf("%s: read as %s, %s", name, named, arch)
		}
	}
}

// TestChecksumsThatAreNone: a release whose files are not there yet, or say nonsense, is none.
func TestChecksumsThatAreNone(t *testing.T) {
	feed, _ := dl(t, func(string) string { return "" })
	if answer, err := feed.Latest(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "checksum of release 3.3.2") {
		t.Errorf("%v, %v: want that they are missing", answer, err)
	}
	feed, _ = dl(t, func(string) string { return "<html>" })
	if answer, err := feed.Latest(t.Context(), ""); !errors.Is(err, release.ErrChecksums) {
		t.Errorf("%v, %v: want ErrChecksums", answer, err)
	}
}

// TestNoEnd: Gitea takes old runners, so that a newer release is no reason to hurry.
func TestNoEnd(t *testing.T) {
	feed, _ := dl(t, same)
	answer, err := feed.Latest(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var c image.Catalog
	c.Apply(answer, image.Settings{}, time.Now())
	if end := c.End("1.0.8"); !end.IsZero() {
		t.Errorf("1.0.8 ends %v: want no end", end)
	}
}
