// Package release looks up the releases of GitHub's runner: the newest one, with the checksums
// of its archives.
//
// It sends no credential, because one of an Enterprise Server is not valid at github.com. Without
// one GitHub allows 60 requests an hour from an address. A conditional request once an hour is
// far below that. If there is no answer, what is known stays.
package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/image"
)

// ErrChecksums means that a release cannot be trusted: its checksums are missing, or those of two
// sources differ.
var ErrChecksums = errors.New("checksums of the release")

// platforms maps the architectures that images are built for, as in GOARCH, to GitHub's names.
var platforms = map[string]string{"amd64": "linux-x64", "arm64": "linux-arm64"}

// A listing is a release in the API's form.
// https://docs.github.com/en/rest/releases/releases#get-the-latest-release
type listing struct {
	Tag        string    `json:"tag_name"`
	Body       string    `json:"body"`
	Draft      bool      `json:"draft"`
	Prerelease bool      `json:"prerelease"`
	Published  time.Time `json:"published_at"`
	Assets     []struct {
		Name   string `json:"name"`
		Digest string `json:"digest"` // sha256:…; empty for old releases
	} `json:"assets"`
}

// Parse reads a release in the API's form. Checksums are in comments of the release notes, and in the
// digests of the files. If both are present they must agree.
func Parse(data []byte) (image.Release, error) {
	var l listing
	if err := json.Unmarshal(data, &l); err != nil {
		return image.Release{}, fmt.Errorf("reading a release: %w", err)
	}
	r, err := l.release()
	if err != nil {
		return image.Release{}, err
	}
	r.SHA256 = map[string]string{}
	for arch, platform := range platforms {
		sum, err := l.checksum(r.Version, platform)
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

// release returns l without checksums.
func (l listing) release() (image.Release, error) {
	v, err := image.ParseVersion(l.Tag)
	switch {
	case err != nil:
		return image.Release{}, fmt.Errorf("reading a release: %w", err)
	case l.Draft || l.Prerelease:
		return image.Release{}, fmt.Errorf("reading a release: %s is a draft or a prerelease", v)
	}
	return image.Release{Version: v, Published: l.Published}, nil
}

// checksum returns the SHA-256 of the archive for platform, or "" if no source has it.
func (l listing) checksum(v image.Version, platform string) (string, error) {
	noted := fromNotes(l.Body, platform)
	name := fmt.Sprintf("actions-runner-%s-%s.tar.gz", platform, v)
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

// notes matches the checksums in release notes, which are generated:
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
