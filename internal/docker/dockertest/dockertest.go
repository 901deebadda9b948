// Package dockertest gives tests a Podman and a Docker of their own, images of this
// machine's tools in them, and a registry on loopback that they pull from.
package dockertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
)

// Serve returns a socket on which Podman answers until the test is over. Where it cannot,
// the test is skipped, loudly; in CI, where everything is there, that is a failure.
func Serve(t testing.TB) (socket string) {
	t.Helper()
	service, err := docker.Serve(t.Context(), filepath.Join(socketDir(t), "engine.sock"))
	if err != nil {
		lacking(t, err)
	}
	t.Cleanup(func() {
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	return service.Socket
}

// socketDir returns a folder that is removed with the test. It is not of t.TempDir, whose
// names are too long for a socket.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mayfly-engine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// lacking skips a test that cannot run here, loudly; in CI that is a failure.
func lacking(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must be able to test this: %v", err)
	}
	t.Skipf("NOT TESTED HERE: %v", err)
}

// Load gives the engine on socket an image of this machine's programs until the test is
// over. It is to have a name as from [hosttools.NewName].
func Load(t testing.TB, socket, image string, config hosttools.Config) {
	t.Helper()
	api, err := docker.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	store := docker.NewImages(api)
	config.Owner = image
	built, err := hosttools.Build(config)
	if err != nil {
		t.Fatal(err)
	}
	archive, into := io.Pipe()
	go func() { into.CloseWithError(hosttools.Write(into, image, built)) }()
	if err := store.Load(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.RemoveImage(context.Background(), image); err != nil {
			t.Error(err)
		}
	})
}

// A Registry is one of images, on loopback, that an engine served after it pulls from:
// Podman because its configuration says so, Docker because it trusts loopback.
type Registry struct{ Address string }

// NewRegistry serves a registry until the test is over.
func NewRegistry(t *testing.T) Registry {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	r := Registry{strings.TrimPrefix(server.URL, "http://")}
	// https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
	insecure := filepath.Join(t.TempDir(), "registries.conf")
	if err := os.WriteFile(insecure, fmt.Appendf(nil, "[[registry]]\nlocation = %q\ninsecure = true\n", r.Address), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_REGISTRIES_CONF", insecure)
	return r
}

// Push gives the registry an image of its own for each content, as NAME:TAG, and
// returns its id. It is taken out of store when the test is over.
func (r Registry) Push(t *testing.T, store *docker.Images, name, content string) (ref, id string) {
	t.Helper()
	image, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"content": content}})
	if err != nil {
		t.Fatal(err)
	}
	digest, errDigest := image.ConfigName()
	config, errConfig := image.RawConfigFile()
	manifest, errManifest := image.RawManifest()
	if err := errors.Join(errDigest, errConfig, errManifest); err != nil {
		t.Fatal(err)
	}
	repository, tag, _ := strings.Cut(name, ":")
	at := "http://" + r.Address + "/v2/" + repository
	send(t, http.MethodPost, at+"/blobs/uploads/?digest="+digest.String(), "application/octet-stream", config)
	send(t, http.MethodPut, at+"/manifests/"+tag, string(types.DockerManifestSchema2), manifest)
	ref, id = r.Address+"/"+name, digest.String()
	t.Cleanup(func() {
		if err := errors.Join(store.RemoveImage(context.Background(), ref), store.RemoveImage(context.Background(), id)); err != nil {
			t.Error(err)
		}
	})
	return ref, id
}

// send makes one request of the protocol of registries.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
func send(t testing.TB, method, url, kind string, body []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("%s %s: %s", method, url, answer.Status)
	}
}
