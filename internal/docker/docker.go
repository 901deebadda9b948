// Package docker connects to this host's container engine, Docker or Podman, through Docker's
// API on a unix socket. It finds the socket, dials it, and starts Podman's API service where
// Podman is installed without one. Packages fleet/engine and image/engine use the engine.
// https://docs.docker.com/reference/api/engine/
package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// ErrNoEngine means that no engine answers, or that none is installed.
var ErrNoEngine = errors.New("no container engine answers")

// pingTimeout is how long an engine may take to answer a ping.
const pingTimeout = 5 * time.Second

// Find returns the first of sockets on which an engine answers, in the form that [Dial] takes.
// Candidates are paths or unix:// addresses; empty ones are skipped. If none answers, the error
// is [ErrNoEngine] with the reason of each.
func Find(ctx context.Context, sockets ...string) (string, error) {
	var errs []error
	for _, s := range sockets {
		if s == "" {
			continue
		}
		api, err := Dial(s)
		if err == nil {
			_, err = Ping(ctx, api)
			api.Close()
		}
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("%w: %w", ErrNoEngine, errors.Join(errs...))
}

// Sockets returns where engines usually listen. Both arguments, the values of
// $DOCKER_HOST and $XDG_RUNTIME_DIR, may be empty.
func Sockets(dockerHost, runtimeDir string) []string {
	all := []string{dockerHost, "/run/podman/podman.sock"}
	if runtimeDir != "" {
		all = append(all, runtimeDir+"/podman/podman.sock")
	}
	return append(all, "/var/run/docker.sock")
}

// Dial returns a client of the engine on socket. It connects on first use.
func Dial(socket string) (*client.Client, error) {
	if strings.Contains(path(socket), "://") {
		// A remote engine could not mount a claim folder of this host.
		return nil, fmt.Errorf("engine %s: want a unix socket of this host", socket)
	}
	return client.New(
		client.WithHTTPClient(&http.Client{Transport: transport(path(socket)), CheckRedirect: client.CheckRedirect}),
		client.WithHost("unix://"+path(socket)),
	)
}

// path returns the path of a socket in either form.
func path(socket string) string { return strings.TrimPrefix(socket, "unix://") }

// transport connects to a unix socket whatever the requested address.
func transport(path string) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		DisableCompression: true,
		MaxIdleConns:       16, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
	}
}

// Ping returns the API version that engine and client agree on.
func Ping(ctx context.Context, api *client.Client) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if _, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return "", fmt.Errorf("engine %s: %w", api.DaemonHost(), err)
	}
	return api.ClientVersion(), nil
}

// IsPodman reports whether the engine is Podman, by the name of one of its components.
func IsPodman(ctx context.Context, api *client.Client) (bool, error) {
	version, err := podmanVersion(ctx, api)
	return version != "", err
}

// podmanVersion returns the version of Podman's own API, or "" for Docker.
func podmanVersion(ctx context.Context, api *client.Client) (string, error) {
	version, err := api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", fmt.Errorf("version of the engine: %w", err)
	}
	for _, c := range version.Components {
		if strings.Contains(c.Name, "Podman") {
			return cmp.Or(c.Details["APIVersion"], c.Version), nil
		}
	}
	return "", nil
}
