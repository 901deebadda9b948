package pool

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Setup is what the containers of a pool have besides image, resources and network.
type Setup struct {
	SharedMemory int64             // bytes of /dev/shm, which count as memory; 0 for what the launcher has
	Ulimits      map[string]Ulimit // by name, such as nofile
	Env          map[string]string // of the runner and its jobs
	Mounts       []Mount
	DNS          []string // addresses of name servers; none for the launcher's
}

// A Mount is a file or folder of the host, or a volume of the engine, that containers see.
type Mount struct {
	Source   string // absolute path, or the name of a volume
	Target   string // absolute path inside
	Writable bool
}

// OfVolume reports whether m is of a volume.
func (m Mount) OfVolume() bool { return !strings.HasPrefix(m.Source, "/") }

// Unlimited is no limit.
const Unlimited = -1

// A Ulimit is a limit of each process, as setrlimit(2) has it. A process may raise its soft limit up to the hard one.
type Ulimit struct{ Soft, Hard int64 } // [Unlimited] for none

// String is SOFT:HARD.
func (u Ulimit) String() string { return word(u.Soft) + ":" + word(u.Hard) }

func word(limit int64) string {
	if limit == Unlimited {
		return "unlimited"
	}
	return strconv.FormatInt(limit, 10)
}

// UlimitNames are the limits that engines, ECS and prlimit(1) have names for, the same ones.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Ulimit.html
func UlimitNames() []string {
	return []string{
		"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack",
	}
}

// Default figures of a Setup.
const (
	// DefaultFiles is how many files a process may have open, as in GitHub's own images: databases and
	// build tools want more than the 1024 that many engines give.
	// https://github.com/actions/runner-images/blob/main/images/ubuntu/scripts/build/configure-limits.sh
	DefaultFiles = 65536

	maxSharedMemory = 2 << 30
)

// WithDefaults returns s with every figure that is missing set to its default, in a container of so much memory.
func (s Setup) WithDefaults(memory int64) Setup {
	s.SharedMemory = cmp.Or(s.SharedMemory, min(memory/2, maxSharedMemory))
	return s
}

// Environ gives s's environment as NAME=value, sorted.
func (s Setup) Environ() []string {
	list := []string{}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		list = append(list, name+"="+s.Env[name])
	}
	return list
}

// UlimitList gives the names of s's limits, sorted.
func (s Setup) UlimitList() []string { return slices.Sorted(maps.Keys(s.Ulimits)) }
