package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/moby/moby/client"
)

// Limits that an engine may be unable to enforce.
const (
	LimitCPUs   = "cpus"
	LimitMemory = "memory"
	LimitPIDs   = "pids"
)

// Unheld returns the limits that the engine on socket cannot enforce, because it has no control
// groups for them. Some engines then start containers without these limits, others refuse them.
func Unheld(ctx context.Context, socket string) ([]string, error) {
	api, err := Dial(socket)
	if err != nil {
		return nil, err
	}
	defer api.Close()
	if _, err := Ping(ctx, api); err != nil {
		return nil, err
	}
	podman, err := podmanVersion(ctx, api)
	switch {
	case err != nil:
		return nil, err
	case podman != "":
		return unheldByPodman(ctx, socket, podman)
	}
	return unheldByDocker(ctx, api)
}

// https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemInfo
func unheldByDocker(ctx context.Context, api *client.Client) (unheld []string, err error) {
	about, err := api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking the engine for its limits: %w", err)
	}
	for limit, holds := range map[string]bool{
		LimitCPUs: about.Info.CPUCfsQuota, LimitMemory: about.Info.MemoryLimit, LimitPIDs: about.Info.PidsLimit,
	} {
		if !holds {
			unheld = append(unheld, limit)
		}
	}
	slices.Sort(unheld)
	return unheld, nil
}

// unheldByPodman asks Podman's own API for its control groups. Its answer to Docker's call is
// wrong: it lists those of the host, although a rootless Podman has none with version 1, and
// with version 2 only those that are delegated to its user.
// https://docs.podman.io/en/latest/_static/api.html#tag/system/operation/SystemInfoLibpod
func unheldByPodman(ctx context.Context, socket, version string) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://podman/v"+version+"/libpod/info", nil)
	if err != nil {
		return nil, err
	}
	over := transport(path(socket))
	defer over.CloseIdleConnections()
	answer, err := over.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("asking Podman for its control groups: %w", err)
	}
	defer answer.Body.Close()
	var about struct {
		Host struct {
			Controllers []string `json:"cgroupControllers"`
		} `json:"host"`
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking Podman for its control groups: %s", answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(&about); err != nil {
		return nil, fmt.Errorf("asking Podman for its control groups: %w", err)
	}
	return lacking(about.Host.Controllers), nil
}

// lacking returns the limits whose controller is not in controllers.
func lacking(controllers []string) (unheld []string) {
	for _, limit := range []struct{ name, controller string }{{LimitCPUs, "cpu"}, {LimitMemory, "memory"}, {LimitPIDs, "pids"}} {
		if !slices.Contains(controllers, limit.controller) {
			unheld = append(unheld, limit.name)
		}
	}
	return unheld
}
