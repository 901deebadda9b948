package worker

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// startContainers is the step that starts the job's container and its services, in a network of the
// job's (ContainerOperationProvider.cs, StartContainersAsync).
func (j *job) startContainers(ctx context.Context, s *step) error {
	d, err := j.docker(s)
	if err != nil {
		return err
	}
	if err := d.versions(); err != nil {
		return err
	}
	if err := d.cleanUp(); err != nil {
		return err
	}
	network := "github_network_" + plainID()
	err = s.grouped("Create local container network", func() error {
		return d.must("Docker network create failed with exit code %d", "network", "create", "--label", j.label(), network)
	})
	if err != nil {
		return err
	}
	j.containerContext = map[string]any{"container": map[string]any{"network": network}, "services": map[string]any{}}
	for _, c := range j.containers {
		c.network = network
		title := "Starting job container"
		if c.alias != "" {
			title = fmt.Sprintf("Starting %s service container", c.alias)
		}
		if err := s.grouped(title, func() error { return d.start(ctx, c) }); err != nil {
			return err
		}
	}
	return s.grouped("Waiting for all services to be ready", func() error {
		for _, c := range j.containers {
			if c.alias == "" {
				continue
			}
			if err := d.awaitHealth(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// grouped logs what do logs as a group.
func (s *step) grouped(title string, do func() error) error {
	s.log("##[group]" + title)
	err := do()
	s.log("##[endgroup]")
	return err
}

func (d docker) versions() error {
	return d.step.grouped("Checking docker version", func() error {
		for _, of := range []struct{ what, field string }{{"daemon", "Server"}, {"client", "Client"}} {
			said, err := d.ask("version", "--format", "'{{."+of.field+".APIVersion}}'")
			if err != nil {
				return err
			}
			d.step.log(fmt.Sprintf("Docker %s API version: %s", of.what, strings.Join(said, "")))
		}
		return nil
	})
}

// cleanUp removes what earlier jobs of this runner left.
func (d docker) cleanUp() error {
	filter := "label=" + d.step.job.label()
	return d.step.grouped("Clean up resources from previous jobs", func() error {
		stale, err := d.ask("ps", "--all", "--quiet", "--no-trunc", "--filter", filter)
		if err != nil {
			return err
		}
		for _, id := range stale {
			if err := d.attempt("Delete stale containers failed, docker rm fail with exit code %d for container "+id, "rm", "--force", id); err != nil {
				return err
			}
		}
		return d.attempt("Delete stale container networks failed, docker network prune fail with exit code %d", "network", "prune", "--force", "--filter", filter)
	})
}

// pullTries is how often an image is tried to be pulled.
const pullTries = 3

// pull gets an image, with the passwords in config unless that is "".
func (d docker) pull(ctx context.Context, image, config string) error {
	arguments := []string{"pull", image}
	if config != "" {
		arguments = append([]string{"--config", config}, arguments...)
	}
	for try := 1; ; try++ {
		code, err := d.run(arguments...)
		switch {
		case err != nil || code == 0:
			return err
		case try == pullTries:
			return wire.Said("Docker pull failed with exit code %d", code)
		}
		pause := d.step.job.config.Pauses.Pull.Pick()
		d.step.warn(fmt.Sprintf("Docker pull failed with exit code %d, back off %v seconds before retry.", code, pause.Seconds()))
		if err := wire.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// start pulls, makes and starts a container, and learns of it what steps may ask.
func (d docker) start(ctx context.Context, c *container) error {
	j := d.step.job
	config, err := d.login(c)
	if err != nil {
		return err
	}
	err = d.pull(ctx, c.image, config)
	if config != "" {
		_ = os.RemoveAll(config) // it goes with the job, too
	}
	if err != nil {
		return err
	}
	if c.alias == "" {
		if err := j.prepareJobContainer(c); err != nil {
			return err
		}
	}
	made, err := d.ask(c.createArguments(j.label())...)
	if err != nil {
		return err
	}
	if c.id = strings.Join(made, ""); c.id == "" {
		return missing("ContainerId")
	}
	if err := d.must("Docker start fail with exit code %d", "start", c.id); err != nil {
		return err
	}
	if err := d.look(c); err != nil {
		return err
	}
	if c.alias != "" {
		return d.learnPorts(c)
	}
	return d.learnPath(c)
}

// look warns of a container that ended at once.
func (d docker) look(c *container) error {
	status := []string{"--no-trunc", "--format", "{{.ID}} {{.Status}}"}
	up, err := d.ask(append([]string{"ps", "--all", "--filter", "id=" + c.id, "--filter", "status=running"}, status...)...)
	if err != nil || slices.ContainsFunc(up, func(line string) bool { return strings.HasPrefix(line, c.id) }) {
		return nil // to look is best effort
	}
	_, _ = d.ask(append([]string{"ps", "--all", "--filter", "id=" + c.id}, status...)...)
	if err := d.attempt("Docker logs fail with exit code %d", "logs", "--details", c.id); err != nil {
		return err
	}
	d.step.warn("Docker container " + c.id + " is not in running state.")
	return nil
}

// learnPorts tells steps where a service's ports are on the runner's machine.
func (d docker) learnPorts(c *container) error {
	lines, err := d.ask("port", c.id)
	if err != nil {
		return err
	}
	ports := map[string]any{}
	for _, line := range lines { // 6379/tcp -> 0.0.0.0:49153
		inside, outside, _ := strings.Cut(line, " -> ")
		port, _, _ := strings.Cut(inside, "/")
		ports[port] = outside[strings.LastIndex(outside, ":")+1:]
	}
	services := d.step.job.containerContext["services"].(map[string]any)
	services[c.alias] = map[string]any{"id": c.id, "ports": ports, "network": c.network}
	return nil
}

// learnPath gets the PATH of a job's container, which steps may add to.
func (d docker) learnPath(c *container) error {
	env, err := d.ask("inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", c.id)
	if err != nil {
		return err
	}
	for _, v := range env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			c.path = path
		}
	}
	d.step.job.containerContext["container"].(map[string]any)["id"] = c.id
	return nil
}

// awaitHealth waits for a service that has a health check, longer each time.
func (d docker) awaitHealth(ctx context.Context, c *container) error {
	first := d.step.job.config.Pauses.Health
	for pause := first; ; pause = min(2*pause, 16*first) {
		said, err := d.ask("inspect", "--format={{if .Config.Healthcheck}}{{print .State.Health.Status}}{{end}}", c.id)
		if err != nil {
			return err
		}
		switch health := strings.TrimSpace(strings.Join(said, "")); health {
		case "":
			return nil // it has no check
		case "healthy":
			d.step.log(c.alias + " service is healthy.")
			return nil
		case "starting":
			d.step.log(fmt.Sprintf("%s service is starting, waiting %d seconds before checking again.", c.alias, pause/time.Second))
			if err := wire.Sleep(ctx, pause); err != nil {
				return err
			}
		default:
			return wire.Said("Failed to initialize, %s service is %s.", c.alias, health)
		}
	}
}

// stopContainers is the step that removes what [job.startContainers] made.
func (j *job) stopContainers(s *step) error {
	d, err := j.docker(s)
	if err != nil {
		return err
	}
	for _, c := range j.containers {
		if c.id == "" {
			continue
		}
		if c.alias != "" {
			s.log("Print service container logs: " + c.name)
			if err := d.attempt("Docker logs fail with exit code %d", "logs", "--details", c.id); err != nil {
				return err
			}
		}
		s.log("Stop and remove container: " + c.name)
		if err := d.attempt("Docker rm fail with exit code %d", "rm", "--force", c.id); err != nil {
			return err
		}
	}
	if network := j.containers[0].network; network != "" {
		s.log("Remove container network: " + network)
		return d.attempt("Docker network rm failed with exit code %d", "network", "rm", network)
	}
	return nil
}
