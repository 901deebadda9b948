package image

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A Version is that of GitHub's runner, such as 2.336.0, without a leading v.
type Version string

var versions = regexp.MustCompile(`^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$`)

// ParseVersion reads a version or the tag of a release.
func ParseVersion(s string) (Version, error) {
	s = strings.TrimPrefix(s, "v")
	if !versions.MatchString(s) {
		return "", fmt.Errorf("runner version %q: want three numbers, such as 2.336.0", s)
	}
	return Version(s), nil
}

// Compare is negative if v is older than o, and zero if they are equal. The empty version, which
// stands for an unknown one, is older than all others.
func (v Version) Compare(o Version) int {
	a, b := strings.Split(string(v), "."), strings.Split(string(o), ".")
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(number(a, i), number(b, i)); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(v), len(o))
}

func number(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(parts[i])
	if err != nil {
		return -1
	}
	return n
}
