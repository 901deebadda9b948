package podman

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// setUp writes how the engine is set up, and returns the variables that say where.
func (c Config) setUp() (env []string, err error) {
	files := map[string]string{"containers.conf": containersConf(), "storage.conf": c.storageConf()}
	env = []string{
		"DOCKER_HOST=unix://" + c.Socket,
		"DOCKER_BUILDKIT=0", // Podman's API has no BuildKit; docker buildx starts its own
		"CONTAINERS_CONF=" + c.in("containers.conf"),
		"CONTAINERS_STORAGE_CONF=" + c.in("storage.conf"),
		"PODMAN_IGNORE_CGROUPSV1_WARNING=1",
	}
	if c.Mirror != "" {
		if files["registries.conf"], err = registriesConf(c.Mirror); err != nil {
			return nil, err
		}
		env = append(env, "CONTAINERS_REGISTRIES_CONF="+c.in("registries.conf"))
	}
	err = os.MkdirAll(c.in("run"), 0o700)
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(c.in(name), []byte(text), 0o644))
	}
	return env, err
}

func (c Config) in(name string) string { return filepath.Join(c.Folder, name) }

// containersConf has no systemd to ask for control groups and no journal, and gives what the
// container has. GitHub's runner removes containers by force, which waits for those
// that ignore SIGTERM.
// https://github.com/containers/common/blob/main/docs/containers.conf.5.md
func containersConf() string {
	return fmt.Sprintf("[containers]\ndefault_ulimits = []\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nstop_timeout = 1\n%s"+
		"[network]\ndefault_rootless_network_cmd = \"pasta\"\n", runtimeLine())
}

// runtimeLine names runc where control groups are not all of version 2: crun, the usual
// runtime, refuses to be called through the API there.
func runtimeLine() string {
	const cgroup2 = 0x63677270 // linux/magic.h
	var fs syscall.Statfs_t
	if err := syscall.Statfs("/sys/fs/cgroup", &fs); err == nil && fs.Type == cgroup2 {
		return ""
	}
	return "runtime = \"runc\"\n"
}

// storageConf keeps everything on the engine's disk, as overlays that the kernel mounts.
// https://github.com/containers/storage/blob/main/docs/containers-storage.conf.5.md
func (c Config) storageConf() string {
	return fmt.Sprintf("[storage]\ndriver = \"overlay\"\nrunroot = %q\nrootless_storage_path = %q\n", c.in("run"), c.in("storage"))
}

// registriesConf asks mirror for what is on Docker Hub, first. What is there without a
// registry in its name is on Docker Hub, as with Docker.
// https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
func registriesConf(mirror string) (string, error) {
	u, err := url.Parse(mirror)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("mirror %q: want an address, such as https://mirror.example.com", mirror)
	}
	location := strings.TrimSuffix(u.Host+u.Path, "/")
	return fmt.Sprintf("unqualified-search-registries = [\"docker.io\"]\n[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n"+
		"[[registry.mirror]]\nlocation = %q\ninsecure = %v\n", location, u.Scheme == "http"), nil
}
