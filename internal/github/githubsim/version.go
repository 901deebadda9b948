package githubsim

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// MinRunnerVersion is the oldest version of a runner that GitHub registers, fully enforced
// since September 2026.
// https://docs.github.com/en/actions/reference/runners/self-hosted-runners#runner-software-updates-on-self-hosted-runners
const MinRunnerVersion = "2.329.0"

// runnerBehind is how long after a newer release a runner gets jobs, by the same page.
const runnerBehind = 30 * 24 * time.Hour

// older reports whether version a comes before b. An invalid version comes before all others.
func older(a, b string) bool { return compareVersions(a, b) < 0 }

func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if c := cmp.Compare(number(as, i), number(bs, i)); c != 0 {
			return c
		}
	}
	return 0
}

// number returns part i of a version, or -1 if it has no such part.
func number(parts []string, i int) int {
	if i >= len(parts) {
		return -1
	}
	n, err := strconv.Atoi(parts[i])
	if err != nil {
		return -1
	}
	return n
}

// endsOf gives when a version is refused: as was set by DeprecateRunner, or as GitHub has
// it for all. The caller holds mu.
func (s *Sim) endsOf(version string) runnerEnds {
	if ends, set := s.ends[version]; set {
		return ends
	}
	var ends runnerEnds
	if older(version, MinRunnerVersion) {
		ends.registration = s.releases[0].Published
	}
	for _, r := range s.releases {
		if older(version, r.Version) {
			ends.runtime = r.Published.Add(runnerBehind)
			break
		}
	}
	return ends
}
