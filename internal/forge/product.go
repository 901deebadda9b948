package forge

import (
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A Product is the runner of a forge as its makers publish it: where its releases are listed, where
// their files are, and what is in them. The image of runners is built from one.
type Product struct {
	Name string // for people, such as GitHub's runner
	Page string // where people find its releases

	Feed     string // the API that lists releases, by default
	Releases string // their path in it, such as /repos/actions/runner/releases

	Downloads string            // where files of releases are, by default
	Layout    string            // a file's path below, with {version} and {platform} in it
	Platforms map[string]string // what {platform} is on Linux, by GOARCH

	// Programs are those that an archive must have in it. Without any, the file is the program itself.
	Programs []string

	// SumBeside says that the SHA-256 of a file is in a file beside it, FILE.sha256. Otherwise
	// the feed has it.
	SumBeside bool

	// Lasting says that the forge takes runners of any age. Otherwise an old one is refused some
	// time after the next release.
	Lasting bool
}

// Path returns where the file of a version for a processor (as in GOARCH) is, below Downloads;
// "" where there is none.
func (p Product) Path(version, arch string) string {
	platform, ok := p.Platforms[arch]
	if !ok {
		return ""
	}
	return strings.NewReplacer("{version}", version, "{platform}", platform).Replace(p.Layout)
}

// File returns the name of that file.
func (p Product) File(version, arch string) string {
	if at := p.Path(version, arch); at != "" {
		return path.Base(at)
	}
	return ""
}

// ReadName reads the version and the processor from the name of a file of a release; ok is false
// for another name.
func (p Product) ReadName(file string) (version, arch string, ok bool) {
	file = filepath.Base(file)
	for _, arch := range slices.Sorted(maps.Keys(p.Platforms)) {
		before, after, _ := strings.Cut(p.File("\x00", arch), "\x00")
		rest, begins := strings.CutPrefix(file, before)
		version, ends := strings.CutSuffix(rest, after)
		if begins && ends && isVersion(version) {
			return version, arch, true
		}
	}
	return "", "", false
}

// isVersion reports whether s is three numbers.
func isVersion(s string) bool {
	numbers := strings.Split(s, ".")
	return len(numbers) == 3 && !slices.ContainsFunc(numbers, func(n string) bool { return n == "" || strings.Trim(n, "0123456789") != "" })
}
