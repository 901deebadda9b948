package contract_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

func settings() contract.Settings {
	return contract.Settings{
		Pools: pool.Set{pool.Pool{
			Name: "small", Labels: []string{"self-hosted", "small"}, Repositories: []string{"acme/*"}, Max: 3,
			Resources: pool.Resources{CPUs: 0.5, Memory: 1 << 30}, IdleLimit: 90 * time.Second, ReadOnlyRoot: true,
		}.WithDefaults()},
		Events: []string{"workflow_job"}, MaxBody: 25 << 20, GitHub: contract.GitHub{URL: "https://github.com", CA: "-----BEGIN CERTIFICATE-----\n", AppID: 7},
		RunnersAt: "repository", HookAt: "acme", Image: contract.Image{Watch: true, Keep: 3, Feed: "https://api.github.com"},
	}
}

func write(t *testing.T, s contract.Settings) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSettingsComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), contract.SettingsFile)
	if err := os.WriteFile(path, write(t, settings()), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := contract.ReadSettings(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settings(), got); diff != "" {
		t.Errorf("read (-written +read):\n%s", diff)
	}
	if again := write(t, got); !bytes.Equal(again, write(t, settings())) {
		t.Errorf("written again it is %s", again)
	}
}

func TestFaultySettings(t *testing.T) {
	good := string(write(t, settings()))
	for text, want := range map[string]string{
		"":          "EOF",
		"{}":        "pools: want at least one",
		good + "{}": "nothing after it",
		strings.Replace(good, `"max_body"`, `"max_bodies"`, 1):              `unknown field "max_bodies"`,
		strings.Replace(good, `"max_body": 26214400`, `"max_body": 0`, 1):   "max_body 0",
		strings.Replace(good, "https://github.com", "", 1):                  "github.url",
		strings.Replace(good, `"max_body": 26214400`, `"max_body": "x"`, 1): "max_body",
	} {
		path := filepath.Join(t.TempDir(), contract.SettingsFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := contract.ReadSettings(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.40q: error %v, want %q and the path", text, err, want)
		}
	}
	if _, err := contract.ReadSettings(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file: no error")
	}
}
