package pool

import "cmp"

// Privileges say what a job may become inside its container.
type Privileges string

// The privileges.
const (
	Strict   Privileges = "strict"    // an ordinary user, without a way to become another
	Sudo     Privileges = "sudo"      // root inside by sudo, in a user namespace: root of nothing outside
	HostRoot Privileges = "host-root" // root inside by sudo, which is root of the host's kernel, too
)

// Isolation says what parts a job from its host. The zero value is the default: strict, and
// without an engine.
type Isolation struct {
	Privileges Privileges
	Runtime    string // an OCI runtime that the container engine knows; "" for its default
	Docker     Docker
}

// Docker is the container engine that each runner has for itself, for as long as it lives.
type Docker struct {
	Engine bool
	Disk   int64  // bytes that its images, containers and volumes may take
	Mirror string // URL of a mirror of Docker Hub; "" for none
}

// DefaultDockerDisk is the disk of an engine whose pool does not say.
const DefaultDockerDisk = 20 << 30

// NeedsUserNamespace reports whether i is safe for the host in a user namespace only.
func (i Isolation) NeedsUserNamespace() bool { return i.Privileges == Sudo || i.Docker.Engine }

// WithDefaults returns i with what is zero set to its default.
func (i Isolation) WithDefaults() Isolation {
	i.Privileges = cmp.Or(i.Privileges, Strict)
	if i.Docker.Engine {
		i.Docker.Disk = cmp.Or(i.Docker.Disk, DefaultDockerDisk)
	}
	return i
}
