package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-ci/mayfly/internal/docker"
	"github.com/mayfly-ci/mayfly/internal/docker/dockertest"
	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/fleet/engine"
	"github.com/mayfly-ci/mayfly/internal/github/githubsim"
	"github.com/mayfly-ci/mayfly/internal/image/hosttools"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
	"github.com/mayfly-ci/mayfly/internal/tool/tooltest"
)

// TestSecrets runs a thief: a job that looks for what mayfly keeps, and for what is
// another runner's, while another runner is there. Mayfly is at GitHub once by a token,
// once as an App.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for launcher, place := range map[string]func(*testing.T) worldConfig{"sandbox": inSandbox, "engine": inEngine} {
		t.Run(launcher, func(t *testing.T) {
			t.Parallel()
			c := place(t)
			c.token, c.secret = "ghp_"+rand.Text(), "whsec_"+rand.Text()
			t.Run("token", func(t *testing.T) { t.Parallel(); testThief(t, c) })
			t.Run("app", func(t *testing.T) {
				t.Parallel()
				key, err := rsa.GenerateKey(rand.Reader, 2048)
				if err != nil {
					t.Fatal(err)
				}
				block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
				c := c
				c.app, c.key = &githubsim.App{ID: 1234, Slug: "mayfly", Key: &key.PublicKey}, string(pem.EncodeToMemory(block))
				testThief(t, c)
			})
		})
	}
}

func inSandbox(t *testing.T) worldConfig {
	tooltest.Need(t, "bwrap")
	return worldConfig{}
}

// inEngine has a Podman of the test's own run runners. Its service can be lost and come back;
// another one, which stays, is what the test itself looks by.
func inEngine(t *testing.T) worldConfig {
	t.Helper()
	c := onEngine(t, dockertest.Serve(t))
	dir, err := os.MkdirTemp("", "mayfly-engine-") // not t.TempDir: its name is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "engine.sock")
	var service *docker.Service
	c.engineUp = func(t *testing.T) {
		t.Helper()
		if service, err = docker.Serve(context.Background(), socket); err != nil {
			t.Fatal(err)
		}
	}
	c.engineDown = func(t *testing.T) {
		t.Helper()
		if err := service.Close(); err != nil {
			t.Fatal(err)
		}
	}
	c.engineUp(t)
	t.Cleanup(func() { service.Close() })
	c.launcher = "launcher: engine\nengine: {socket: " + socket + "}"
	return c
}

// onEngine has an engine run runners, from an image of the few tools that a thief needs.
func onEngine(t *testing.T, socket string) worldConfig {
	image := hosttools.NewName("secrets-test")
	open := func(ctx context.Context, instance string) (*engine.Launcher, error) {
		return engine.New(ctx, engine.Config{Socket: socket, Instance: instance, Agent: tooltest.Binary("mayfly-agent")})
	}
	dockertest.Load(t, socket, image, hosttools.Config{
		Tools: []string{"bash", "dd", "df", "env", "grep", "head", "ls", "rm", "sed", "sleep", "tail", "touch", "wc"},
		Files: map[string]string{rehearsal.Minirunner: tooltest.Binary("mayfly-minirunner")},
	})
	return worldConfig{
		launcher: fmt.Sprintf("launcher: engine\nengine: {socket: %s}", socket),
		pool:     "image: " + image,
		purge: func(ctx context.Context, _ *world, instance string) error {
			l, err := open(ctx, instance)
			if err != nil {
				return err
			}
			defer l.Close()
			return l.Purge(ctx)
		},
		list: func(ctx context.Context, instance string) ([]fleet.Container, error) {
			l, err := open(ctx, instance)
			if err != nil {
				return nil, err
			}
			defer l.Close()
			return l.List(ctx)
		},
	}
}

// testThief lets the thief look, and then looks at what it found.
func testThief(t *testing.T, c worldConfig) {
	w := newWorld(t, c)
	if c.key != "" {
		if err := os.WriteFile(filepath.Join(w.dir, "app.pem"), []byte(c.key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.serve(t)
	w.push(t, map[string]string{".github/workflows/neighbour.yml": workflow(1, "sleep 300")})
	neighbour := w.running(t)
	w.push(t, map[string]string{".github/workflows/thief.yml": workflow(1, w.thief(neighbour.Runner))})
	w.completed(t, 1, time.Minute)
	jobs := w.sim.Jobs()
	said := w.sim.Log(jobs[len(jobs)-1].ID)
	if got := jobs[len(jobs)-1].Conclusion; got != githubsim.Success {
		t.Errorf("the thief ended with %s", got)
	}
	w.judge(t, said)

	if err := w.sim.CancelRun(neighbour.RunID); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft(t, 30*time.Second)
	if made := w.runners(t, "--all"); len(made) != 2 {
		t.Errorf("%d runners were made for two jobs", len(made))
	}
	w.up.stop(t)
	w.keptSecret(t)
}

// running waits until a job runs.
func (w *world) running(t *testing.T) (running githubsim.Job) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := w.sim.Wait(ctx, func(jobs []githubsim.Job) bool {
		for _, running = range jobs {
			if running.Status == githubsim.StatusInProgress {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatalf("no job runs: %v\n%s", err, w.up.said())
	}
	return running
}

// secrets are what nobody but mayfly may know, by name.
func (w *world) secrets() map[string]string {
	secrets := map[string]string{"webhook secret": w.secret, "token": w.token}
	if w.key != "" {
		secrets["App key"] = strings.Split(w.key, "\n")[7] // a line in the middle
	}
	return secrets
}

// thief returns the script. What it looks for stands in it as a pattern that does not
// match itself. It says "LOOT" of what must not be found, and "decoy" of what must be,
// or else it cannot search.
func (w *world) thief(neighbour string) string {
	var patterns []string
	for _, s := range w.secrets() {
		patterns = append(patterns, patternOf(s[:min(len(s), 20)]))
	}
	return strings.NewReplacer(
		"SECRETS", strings.Join(patterns, "|"), "DECOY", patternOf(decoy), "DECOI", split(decoy),
		"STATE", w.state(), "CONFIG", w.dir, "NEIGHBOUR", split(neighbour), "NEXTDOOR", patternOf(neighbour), "AGENT", fleet.AgentPath, "SOCKET", fleet.ClaimSocket,
	).Replace(thief)
}

// decoy is what the thief hides for itself.
const decoy = "here-is-a-decoy"

// patternOf returns a pattern that matches s but not itself.
func patternOf(s string) string {
	return "[" + s[:1] + "]" + regexp.QuoteMeta(s[1:])
}

// split returns s as a script can write it without a pattern for s matching the script.
func split(s string) string { return s[:3] + `""` + s[3:] }

const thief = `set +e
export HIDDEN=DECOI
echo "$HIDDEN" > ~/decoy
search() { # search WHAT PATTERN: in every file but the system's programs, and in /proc
  grep -rsaEl -D skip -e "$2" /etc /home /media /mnt /opt /root /run /srv /tmp /var | sed "s|^|$1 |"
  grep -saEl -D skip -e "$2" /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/fd/* | sed "s|^|$1 |"
}
search decoy 'DECOY'
search 'LOOT secret in' 'SECRETS'
search 'LOOT key in' '[-]----BEGIN [A-Z ]*PRIVATE KEY'
grep -rsaEho -D skip -e '[g]h[ps]_[A-Za-z0-9]{20,}' /etc /home /opt /run /tmp /var /proc/[0-9]*/environ /proc/[0-9]*/cmdline |
  grep -vxF '${{ github.token }}' | sed 's|^|LOOT token |'
for root in '' /proc/[0-9]*/root /proc/[0-9]*/cwd; do
  for path in CONFIG STATE STATE/mayfly.db STATE/claims/NEIGHBOUR STATE/runners/NEIGHBOUR /run/mayfly/../NEIGHBOUR; do
    ls -d "$root$path" 2>/dev/null | sed 's|^|LOOT sees |'
  done
done
search 'LOOT neighbour in' 'NEXTDOOR'
AGENT --socket SOCKET --claim-within 10s -- bash -c 'echo LOOT second claim; env'
echo "second claim ended with $?"
rm -f SOCKET 2>/dev/null && echo LOOT removed the socket
touch /run/mayfly/mine 2>/dev/null && echo LOOT wrote beside the socket
echo thief is done`

// judge looks at what the thief said.
func (w *world) judge(t *testing.T, said string) {
	t.Helper()
	for _, want := range []string{"decoy /home/runner/decoy", "decoy /proc/", "second claim ended with 77", "the claim of this runner is spent", "thief is done"} {
		if !strings.Contains(said, want) {
			t.Errorf("the thief did not say %q: it cannot have looked", want)
		}
	}
	for line := range strings.Lines(said) {
		_, line, _ = strings.Cut(line, " ") // its time
		if strings.HasPrefix(line, "LOOT") {
			t.Errorf("found: %s", line)
		}
	}
	for name, s := range w.secrets() {
		if strings.Contains(said, s) {
			t.Errorf("the %s is in the log", name)
		}
	}
	if t.Failed() {
		t.Logf("the thief said:\n%s", said)
	}
}

// keptSecret looks for the secrets where mayfly writes: in its log and its state
// folder.
func (w *world) keptSecret(t *testing.T) {
	t.Helper()
	for name, s := range w.secrets() {
		if strings.Contains(w.up.log.String(), s) {
			t.Errorf("mayfly up has logged its %s", name)
		}
		err := filepath.WalkDir(w.state(), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if strings.Contains(string(content), s) {
				t.Errorf("the %s is in %s", name, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
