// Package release reads what the makers of a runner say of its releases: the newest one,
// with the checksums of its files. Gitea's API has the form of GitHub's.
//
// It asks without a credential, because an Enterprise Server's is none at github.com, and
// so has 60 requests an hour for all that ask from its address. Once an hour, with a
// conditional request, is far below; what is known stays when there is no answer.
package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/image"
)

// ErrChecksums says that a release cannot be believed: its checksums are missing, or
// what two places say of one archive differs.
var ErrChecksums = errors.New("checksums of the release")

// platforms are those that images are built for, as in GOARCH.
var platforms = map[string]bool{"amd64": true, "arm64": true}

// A listing is a release as the API tells of it.
// https://docs.github.com/en/rest/releases/releases#get-the-latest-release
// https://gitea.com/api/swagger#/repository/repoGetLatestRelease
type listing struct {
	Tag        string    `json:"tag_name"`
	Body       string    `json:"body"`
	Draft      bool      `json:"draft"`
	Prerelease bool      `json:"prerelease"`
	Published  time.Time `json:"published_at"`
	Assets     []struct {
		Name   string `json:"name"`
		Digest string `json:"digest"` // sha256:…; empty for old ones
	} `json:"assets"`
}

// Parse reads a release of p as the API tells of it. Its checksums stand in comments of its
// notes and beside its archives; where both are there they must agree. With SumBeside it has none.
func Parse(p forge.Product, data []byte) (image.Release, error) {
	var l listing
	if err := json.Unmarshal(data, &l); err != nil {
		return image.Release{}, fmt.Errorf("reading a release: %w", err)
	}
	r, err := l.release(p)
	if err != nil || p.SumBeside {
		return r, err
	}
	r.SHA256 = map[string]string{}
	for arch := range platforms {
		sum, err := l.checksum(p, r.Version, arch)
		if err != nil {
			return image.Release{}, fmt.Errorf("release %s: %w", r.Version, err)
		}
		if sum != "" {
			r.SHA256[arch] = sum
		}
	}
	if len(r.SHA256) == 0 {
		return image.Release{}, fmt.Errorf("release %s: %w: neither the notes nor the files have any for Linux", r.Version, ErrChecksums)
	}
	return r, nil
}

// release is what l says without its checksums.
func (l listing) release(p forge.Product) (image.Release, error) {
	v, err := image.ParseVersion(l.Tag)
	switch {
	case err != nil:
		return image.Release{}, fmt.Errorf("reading a release: %w", err)
	case l.Draft || l.Prerelease:
		return image.Release{}, fmt.Errorf("reading a release: %s is a draft or a prerelease", v)
	}
	return image.Release{Version: v, Published: l.Published, Lasting: p.Lasting}, nil
}

// checksum returns the SHA-256 of the archive for a processor; empty when nobody says it.
func (l listing) checksum(p forge.Product, v image.Version, arch string) (string, error) {
	noted := fromNotes(l.Body, p.Platforms[arch])
	name := p.File(string(v), arch)
	for _, a := range l.Assets {
		digest, ok := strings.CutPrefix(a.Digest, "sha256:")
		switch {
		case a.Name != name || !ok:
		case !sum.MatchString(digest):
			return "", fmt.Errorf("%w: digest of %s: %q is no SHA-256", ErrChecksums, name, a.Digest)
		case noted != "" && noted != digest:
			return "", fmt.Errorf("%w: of %s the notes say %s, and the file's digest is %s", ErrChecksums, name, noted, digest)
		default:
			return digest, nil
		}
	}
	return noted, nil
}

var sum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// notes has the checksums in release notes, which are put there by machine:
// https://github.com/actions/runner/blob/main/releaseNote.md
var notes = regexp.MustCompile(`<!-- BEGIN SHA ([a-z0-9-]+) -->\s*([0-9a-f]{64})\s*<!-- END SHA ([a-z0-9-]+) -->`)

func fromNotes(body, platform string) string {
	for _, found := range notes.FindAllStringSubmatch(body, -1) {
		if found[1] == platform && found[3] == platform {
			return found[2]
		}
	}
	return ""
}
