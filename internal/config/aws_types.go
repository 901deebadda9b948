package config

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// instanceType splits the name of a type: m7g.xlarge is family m, generation 7, attributes g, size xlarge.
var instanceType = regexp.MustCompile(`^([a-z]+)(\d+)([a-z-]*)\.(\d*)([a-z]+)(-\d+xl)?$`)

// architectureOf returns the architecture of an instance type, and whether its name tells it.
// A g after the generation means Graviton, which is arm64.
// https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
func architectureOf(name string) (string, bool) {
	m := instanceType.FindStringSubmatch(name)
	switch {
	case m == nil:
		return "", false
	case strings.Contains(m[3], "g") || m[1]+m[2] == "a1":
		return ARM64, true
	}
	return AMD64, true
}

// sizeOf returns the size of an instance type of the common families, derived from its name:
// c has 2 GiB for each processor, m has 4 and r has 8.
func sizeOf(name string) (pool.Resources, bool) {
	m := instanceType.FindStringSubmatch(name)
	if m == nil {
		return pool.Resources{}, false
	}
	memory, known := map[string]int64{"c": 2, "m": 4, "r": 8}[m[1]]
	var cpus int64
	switch times, err := strconv.ParseInt(m[4], 10, 16); {
	case m[5] == "xlarge" && err == nil:
		cpus = 4 * times
	case m[5] == "xlarge":
		cpus = 4
	case m[5] == "large":
		cpus = 2
	case m[5] == "medium":
		cpus = 1
	}
	return pool.Resources{CPUs: float64(cpus), Memory: cpus * memory << 30}, known && cpus > 0
}
