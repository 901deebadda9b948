package dockertest

import "github.com/mayfly-ci/mayfly/internal/image/hosttools"

// Base is an image on which the runner's can be built without a network: it has all that the Dockerfile
// would install, some of it by name only.
func Base() hosttools.Config {
	c := hosttools.Config{Tools: append(hosttools.Tools(), "jq", "zstd"), Trees: hosttools.Trees(), Files: map[string]string{}}
	for _, name := range []string{
		"wget", "unzip", "zip", "bzip2", "rsync", "file", "gpg", "ssh", "sudo", "python3", "make", "gcc", "g++", "lsb_release", "locale-gen", "node",
	} {
		c.Files["/usr/local/bin/"+name] = "/bin/true"
	}
	c.Files["/usr/share/zoneinfo/Europe/Paris"] = "/bin/true"
	return c
}
