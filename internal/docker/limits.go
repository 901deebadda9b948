package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/moby/moby/client"
)

// Limits that an engine may be unable to hold a container to.
const (
	LimitCPUs   = "cpus"
	LimitMemory = "memory"
	LimitPIDs   = "pids"
)

// Unheld returns the limits that the engine on socket takes and does not hold, or
// refuses: it lacks the control groups for them. Engines start containers all the same.
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

// unheldByPodman asks for the control groups that Podman has. Docker's call has them
// wrong: it tells of those of the host, although a rootless Podman may have none of them
// (none at all with version 1, and with version 2 those that are delegated to its user).
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

// lacking returns the limits for which controllers lack one.
func lacking(controllers []string) (unheld []string) {
	for _, limit := range []struct{ name, controller string }{{LimitCPUs, "cpu"}, {LimitMemory, "memory"}, {LimitPIDs, "pids"}} {
		if !slices.Contains(controllers, limit.controller) {
			unheld = append(unheld, limit.name)
		}
	}
	return unheld
}
