package engine

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// networkName returns the name of the network of this instance's runners.
func (l *Launcher) networkName() string { return "mayfly-" + l.config.Instance }

// makeNetwork creates the network unless it exists.
func (l *Launcher) makeNetwork(ctx context.Context) error {
	l.network.Lock()
	defer l.network.Unlock()
	_, err := l.api.NetworkInspect(ctx, l.networkName(), client.NetworkInspectOptions{})
	if !errdefs.IsNotFound(err) {
		return err
	}
	options := client.NetworkCreateOptions{Driver: "bridge", Labels: map[string]string{labelInstance: l.config.Instance}}
	if !l.podman { // Podman refuses the option, and cannot isolate containers of one network from each other
		options.Options = map[string]string{"com.docker.network.bridge.enable_icc": "false"}
	}
	_, err = l.api.NetworkCreate(ctx, l.networkName(), options)
	if err != nil && !errdefs.IsConflict(err) {
		return fmt.Errorf("making network %s: %w", l.networkName(), err)
	}
	return nil
}

// Gateway returns the host's address in the network of this instance, where runners on
// [pool.NetworkOwn] reach servers on the host. It creates the network if needed. With Podman
// the host has this address only while a container is on the network, so a server that listens
// earlier needs IP_FREEBIND. With rootless Podman the host never has it.
func (l *Launcher) Gateway(ctx context.Context) (netip.Addr, error) {
	if err := l.makeNetwork(ctx); err != nil {
		return netip.Addr{}, err
	}
	found, err := l.api.NetworkInspect(ctx, l.networkName(), client.NetworkInspectOptions{})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("looking at network %s: %w", l.networkName(), err)
	}
	for _, c := range found.Network.IPAM.Config {
		if c.Gateway.Is4() {
			return c.Gateway, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("network %s: no IPv4 gateway", l.networkName())
}

func (l *Launcher) removeNetwork(ctx context.Context) error {
	_, err := l.api.NetworkRemove(ctx, l.networkName(), client.NetworkRemoveOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing network %s: %w", l.networkName(), err)
	}
	return nil
}
