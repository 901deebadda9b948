package pool

// Where a runner's own container engine is in its container.
const (
	// DockerFolder is the disk of the engine: what it keeps, and how it is set up.
	DockerFolder = "/var/lib/mayfly"

	// DockerSocket is where the engine answers. Images that are meant for it have a link to it
	// at /var/run/docker.sock: GitHub's runner mounts that path into job containers.
	// https://github.com/actions/runner/blob/main/src/Runner.Worker/ContainerOperationProvider.cs
	DockerSocket = DockerFolder + "/docker.sock"
)
