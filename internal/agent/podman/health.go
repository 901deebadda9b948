package podman

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Podman has systemd run the health checks of containers, and in a container there is none. So the
// agent has them run when they are due: services of workflows are waited for until they are healthy.
// https://docs.podman.io/en/latest/markdown/podman-healthcheck-run.1.html

// look is how often the agent looks for containers with a check.
const look = time.Second

// A checker runs the health checks of an engine's containers. Its fields belong to [checker.run].
type checker struct {
	client *http.Client
	known  map[string]*check // by container
}

// A check is the health check of a container.
type check struct {
	every time.Duration // 0 when it has none
	next  time.Time
}

func newChecker(socket string) *checker {
	return &checker{known: map[string]*check{}, client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
}

// run runs checks until the container ends, and this process with it.
func (c *checker) run() {
	for now := range time.Tick(look) {
		c.turn(now)
	}
}

// turn runs what is due. An engine that does not answer has no containers.
func (c *checker) turn(now time.Time) {
	var list []struct{ ID string }
	if c.get("/v1.41/containers/json", &list) != nil {
		return
	}
	running := map[string]*check{}
	for _, one := range list {
		k := c.known[one.ID]
		if k == nil {
			k = c.learn(one.ID, now)
		}
		running[one.ID] = k
		if k.every > 0 && !now.Before(k.next) {
			k.next = now.Add(k.every)
			go c.get("/v4.0.0/libpod/containers/"+one.ID+"/healthcheck", nil) // its result is kept by Podman
		}
	}
	c.known = running
}

// learn asks for the check of a container. Docker's default is 30 s.
func (c *checker) learn(id string, now time.Time) *check {
	var about struct {
		Config struct {
			Healthcheck *struct {
				Test     []string
				Interval time.Duration
			}
		}
	}
	if err := c.get("/v1.41/containers/"+id+"/json", &about); err != nil || about.Config.Healthcheck == nil {
		return &check{}
	}
	h := about.Config.Healthcheck
	if len(h.Test) == 0 || h.Test[0] == "NONE" {
		return &check{}
	}
	if h.Interval <= 0 {
		h.Interval = 30 * time.Second
	}
	return &check{every: h.Interval, next: now.Add(h.Interval)}
}

// get asks the engine, for an answer unless that is nil.
func (c *checker) get(path string, answer any) error {
	resp, err := c.client.Get("http://podman" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", path, resp.Status)
	case answer == nil:
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}
