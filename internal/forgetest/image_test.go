package forgetest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
)

// publish serves the built runner as gitea.com and dl.gitea.com do, and returns the address. Their forms
// are those of package gitea's tests.
func publish(t *testing.T, b built) (url string) {
	t.Helper()
	program, err := os.ReadFile(b.runner)
	must(t, err)
	version := versionOf(t, b)
	name := "/dl/" + version + "/gitea-runner-" + version + "-linux-"
	files := map[string][]byte{
		"/api/v1/repos/gitea/runner/releases/latest": fmt.Appendf(nil, `{"tag_name": "v%s", "draft": false, "prerelease": false, "published_at": "2026-06-01T00:00:00Z", "assets": []}`, version),
	}
	for _, arch := range []string{"amd64", "arm64"} { // the program is this machine's; nobody fetches the other
		files[name+arch] = program
		files[name+arch+".sha256"] = fmt.Appendf(nil, "%x  gitea-runner-%s-linux-%s", sha256.Sum256(program), version, arch)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, ok := files[r.URL.Path]; ok {
			w.Write(body)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func versionOf(t *testing.T, b built) string {
	t.Helper()
	out, err := exec.Command(b.runner, "--version").Output()
	must(t, err)
	words := strings.Fields(string(out))
	return strings.TrimPrefix(words[len(words)-1], "v")
}

// imageOf sets up an engine whose runners start from an image that mayfly up builds of the newest release,
// on a base with this machine's programs, and promotes after its canary.
func imageOf(t *testing.T, b built) launcher {
	t.Helper()
	socket, base, url := dockertest.Serve(t), hosttools.NewName("forge"), publish(t, b)
	dockertest.Load(t, socket, base, dockertest.Base())
	return launcher{
		keys: fmt.Sprintf("launcher: engine\nengine: {socket: %q}\nimage: {base: %q, feed: %q, downloads: %q}", socket, base, url+"/api/v1", url+"/dl"),
	}
}

// testImage: the image that jobs run in is built of the newest release, and passed its canary.
func testImage(t *testing.T, w *world) {
	var status struct {
		Current *struct{ Version, Reason, Digest string }
		Runway  *struct{}
	}
	w.eventually(t, "an image is current", func() bool {
		must(t, json.Unmarshal(w.mayfly(t, "image", "status", "--json"), &status))
		return status.Current != nil
	})
	if c := status.Current; c.Version != versionOf(t, w.built) || c.Reason != "its canary passed" || status.Runway != nil {
		t.Errorf("%+v, runway %v: want the newest release, by its canary, without an end", c, status.Runway)
	}
	if text := string(w.mayfly(t, "image", "status")); !strings.Contains(text, "takes runners of any age") || strings.Contains(text, "GitHub") {
		t.Errorf("image status of another forge:\n%s", text)
	}
	if out := string(w.mayfly(t, "image", "canary", status.Current.Digest)); !strings.Contains(out, "ran the canary job and left") {
		t.Errorf("canary: %s", out)
	}
}
