package dockertest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Hub serves a mirror of Docker Hub on loopback until the test is over, with images of Debian
// packages by their names there, such as redis:7. It returns the mirror's URL.
func Hub(t testing.TB, images map[string]Debian) (url string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	for as, d := range images {
		layer, err := os.ReadFile(d.Root(t))
		if err != nil {
			t.Fatal(err)
		}
		name, tag, _ := strings.Cut(as, ":")
		at := server.URL + "/v2/library/" + name
		root := blob(t, at, types.OCIUncompressedLayer, layer)
		config := blob(t, at, types.OCIConfigJSON, encode(t, v1.ConfigFile{
			Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{root.Digest}},
			Config: v1.Config{Cmd: d.Command, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
		}))
		manifest := encode(t, v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{root}})
		send(t, http.MethodPut, at+"/manifests/"+tag, string(types.OCIManifestSchema1), manifest)
	}
	return server.URL
}

// blob gives a repository a blob and returns its description.
func blob(t testing.TB, at string, kind types.MediaType, content []byte) v1.Descriptor {
	t.Helper()
	sum := sha256.Sum256(content)
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	send(t, http.MethodPost, at+"/blobs/uploads/?digest="+digest.String(), "application/octet-stream", content)
	return v1.Descriptor{MediaType: kind, Size: int64(len(content)), Digest: digest}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
