package config

import (
	"fmt"
	"net/url"
	"regexp"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// dockerEngine is the value of docker that gives each runner its own engine.
const dockerEngine = "engine"

// isolation returns how a runner of p is isolated from its host.
func (p Pool) isolation(mirror string) pool.Isolation {
	i := pool.Isolation{Privileges: pool.Privileges(p.Privileges), Runtime: p.Runtime}
	if p.Docker == dockerEngine {
		i.Docker = pool.Docker{Engine: true, Disk: int64(p.DockerDisk), Mirror: mirror}
	}
	return i
}

// leastDockerDisk is less than any useful image needs.
const leastDockerDisk = 256 << 20

// runtimeName is the form of a runtime's name, which is a key in containers.conf and daemon.json.
var runtimeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func (d *decoder) checkIsolation(at string, p Pool) {
	in := fmt.Sprintf("reading pool %q: ", p.Name)
	if p.Runtime != "" && !runtimeName.MatchString(p.Runtime) {
		d.faultAt(at+".runtime", "%sruntime %q: want the name of a runtime of the engine, such as runsc", in, p.Runtime)
	}
	switch {
	case d.has(at+".docker_disk") && p.Docker != dockerEngine:
		d.faultAt(at+".docker_disk", "%sdocker_disk without docker: engine: want both or neither", in)
	case p.Docker == dockerEngine && p.DockerDisk < leastDockerDisk:
		d.faultAt(at+".docker_disk", "%sdocker_disk %v: want %v or more", in, p.DockerDisk, Bytes(leastDockerDisk))
	}
	if p.Docker == dockerEngine && p.Privileges == string(pool.HostRoot) {
		d.faultAt(at+".privileges", "%sprivileges host-root with docker: engine: the engine needs a user namespace: want strict or sudo", in)
	}
}

// checkMirror finds a mirror that engines cannot use: they take only a host, and https or http.
func (c *Config) checkMirror(d *decoder) {
	u, err := url.Parse(c.Mirror)
	if c.Mirror != "" && (err != nil || !isWeb(u) || u.User != nil || u.RawQuery != "") {
		d.faultAt("docker_mirror", "docker_mirror %q: want an address without a password, such as https://mirror.example.com", redacted(u))
	}
}

// checkIsolationOnAWS finds settings that need a user namespace: ECS tasks have none, and share their hosts.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters_ec2.html
func (p Pool) checkIsolationOnAWS(d *decoder, at string) {
	in := fmt.Sprintf("reading pool %q: ", p.Name)
	if p.Privileges != string(pool.Strict) {
		d.faultAt(at+".privileges", "%sprivileges %s is not supported on AWS: runners share their hosts without user namespaces, so root in one is root over all: want strict", in, p.Privileges)
	}
	if p.Docker != "none" {
		d.faultAt(at+".docker", "%sdocker %s is not supported on AWS, because an ECS task cannot have the user namespace that it needs: want none", in, p.Docker)
	}
	if p.Runtime != "" {
		d.faultAt(at+".runtime", "%sruntime %q is not supported on AWS, because an ECS task cannot choose its runtime: remove it", in, p.Runtime)
	}
}

// isolation warns of settings that weaken the isolation of jobs from their host.
func (l *linter) isolation(i int) {
	p, at := l.config.Pools[i], fmt.Sprintf("pools[%d]", i)
	if p.Privileges == string(pool.HostRoot) {
		l.warn(at+".privileges", "pool %q: privileges host-root: a job that escapes from its container is root on this machine: use sudo", p.Name)
	}
	if l.config.Launcher == "sandbox" {
		for key, given := range map[string]bool{
			"privileges": p.Privileges != string(pool.Strict), "runtime": p.Runtime != "", "docker": p.Docker != "none",
		} {
			if given {
				l.warn(at+"."+key, "pool %q never gets a runner: the sandbox does not support %s: set launcher: engine", p.Name, key)
			}
		}
	}
}
