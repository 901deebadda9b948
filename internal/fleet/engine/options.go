package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/mayfly-ci/mayfly/internal/fleet"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Labels that identify containers and networks.
const (
	labelInstance = "mayfly.instance"
	labelRunner   = "mayfly.runner"
	labelPool     = "mayfly.pool"
	labelJob      = "mayfly.job"
)

// mine returns the filter for everything of this instance.
func (l *Launcher) mine() client.Filters {
	return client.Filters{}.Add("label", labelInstance+"="+l.config.Instance)
}

// options returns the options for the container of spec.
func (l *Launcher) options(ctx context.Context, spec fleet.Spec) (client.ContainerCreateOptions, error) {
	network, err := l.networkMode(spec.Network)
	if err := errors.Join(spec.Check(), err); err != nil {
		return client.ContainerCreateOptions{}, err
	}
	if _, err := os.Stat(spec.ClaimDir); err != nil { // Podman would create a missing one
		return client.ContainerCreateOptions{}, fmt.Errorf("claim folder: %w", err)
	}
	if spec.Image == "" {
		return client.ContainerCreateOptions{}, fmt.Errorf("pool %q: image is missing", spec.Pool)
	}
	host := l.hostConfig(spec, network)
	if err := l.isolate(ctx, host, spec); err != nil {
		return client.ContainerCreateOptions{}, err
	}
	return client.ContainerCreateOptions{
		Name: spec.Runner,
		Config: &container.Config{
			Image:      spec.Image,
			Hostname:   spec.Runner,
			Entrypoint: spec.Args(),
			Cmd:        []string{}, // not nil, which means the image's
			Env:        spec.Setup.Environ(),
			StopSignal: "SIGTERM",
			Labels: map[string]string{
				labelInstance: l.config.Instance, labelRunner: spec.Runner, labelPool: spec.Pool, labelJob: spec.Job,
			},
		},
		HostConfig: host,
	}, nil
}

func (l *Launcher) hostConfig(spec fleet.Spec, network container.NetworkMode) *container.HostConfig {
	pids := int64(spec.PIDs)
	host := &container.HostConfig{
		NetworkMode: network,
		// Keep the last megabyte of a runner's output, until the container is removed.
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m"}},
		// Images other than Mayfly's do not have this folder. If an image has it, runtimes give the
		// mount the mode of the image's folder and the owner root, so in our image every user may write to it.
		Tmpfs: map[string]string{pool.CacheFolder: "rw,nosuid,nodev,noexec,mode=1777"},
		Mounts: []mount.Mount{
			readOnly(l.config.Agent, fleet.AgentPath),
			readOnly(spec.ClaimDir, fleet.ClaimMount),
		},
		Resources: container.Resources{
			NanoCPUs:   int64(spec.Resources.CPUs * 1e9),
			Memory:     spec.Resources.Memory,
			MemorySwap: spec.Resources.Memory, // the sum of memory and swap, so no swap
			Ulimits:    l.ulimits(spec.Setup),
		},
	}
	if pids > 0 {
		host.PidsLimit = &pids
	}
	furnish(host, spec.Setup)
	if spec.ReadOnlyRoot {
		host.ReadonlyRootfs = true
		scratch(host)
	}
	return host
}

// scratch mounts the folders that a runner must be able to write to under a read-only root.
// Folders for every user are in memory. Home cannot be: runtimes give such a mount the owner root.
// It is a volume, which starts as a copy of the image's folder, with its owner, and is removed
// with the container.
func scratch(host *container.HostConfig) {
	const options = "rw,nosuid,nodev,exec,mode=1777"
	host.Tmpfs["/tmp"], host.Tmpfs["/var/tmp"] = options, options
	host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeVolume, Target: pool.Home})
}

// furnish applies s to a container, except for environment and limits.
func furnish(host *container.HostConfig, s pool.Setup) {
	host.ShmSize = s.SharedMemory
	for _, m := range s.Mounts {
		kind := mount.TypeBind
		if m.OfVolume() {
			kind = mount.TypeVolume
		}
		host.Mounts = append(host.Mounts, mount.Mount{Type: kind, Source: m.Source, Target: m.Target, ReadOnly: !m.Writable})
	}
	for _, server := range s.DNS {
		if addr, err := netip.ParseAddr(server); err == nil { // config has reported any error
			host.DNS = append(host.DNS, addr)
		}
	}
}

func readOnly(host, inside string) mount.Mount {
	return mount.Mount{Type: mount.TypeBind, Source: filepath.Clean(host), Target: inside, ReadOnly: true}
}

func (l *Launcher) networkMode(n pool.Network) (container.NetworkMode, error) {
	switch n {
	case pool.NetworkOwn:
		return container.NetworkMode(l.networkName()), nil
	case pool.NetworkHost, pool.NetworkNone:
		return container.NetworkMode(n), nil
	}
	return "", fmt.Errorf("network %q: %w: want own, host or none", n, fleet.ErrUnsupported)
}
