// Package git computes git's ids of files and folders without git. The same files have the same id
// here, in a clone and on a git server.
//
// https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
package git

import (
	"bytes"
	"cmp"
	"crypto/sha1" // as git does
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// A File is an entry of a tree.
type File struct {
	Blob       string // id of its content, see [Blob]
	Executable bool
}

// Blob returns git's id of a content, as `git hash-object` prints it.
func Blob(content []byte) string { return object("blob", content) }

// Tree returns git's id of files by their slash-separated paths: what `git rev-parse HEAD^{tree}`
// prints for a commit with exactly these files.
func Tree(files map[string]File) string {
	var entries []entry
	folders := map[string]map[string]File{}
	for name, f := range files {
		folder, rest, deeper := strings.Cut(name, "/")
		switch {
		case deeper && folders[folder] == nil:
			folders[folder] = map[string]File{rest: f}
		case deeper:
			folders[folder][rest] = f
		case f.Executable:
			entries = append(entries, entry{"100755", name, f.Blob})
		default:
			entries = append(entries, entry{"100644", name, f.Blob})
		}
	}
	for name, inside := range folders {
		entries = append(entries, entry{"40000", name, Tree(inside)})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.key(), b.key()) })
	var body bytes.Buffer
	for _, e := range entries {
		id, _ := hex.DecodeString(e.id)
		fmt.Fprintf(&body, "%s %s\x00%s", e.mode, e.name, id)
	}
	return object("tree", body.Bytes())
}

type entry struct{ mode, name, id string }

// key returns the sort key of an entry: git sorts a folder as if its name ended with a slash.
func (e entry) key() string {
	if e.mode == "40000" {
		return e.name + "/"
	}
	return e.name
}

func object(kind string, body []byte) string {
	sum := sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", kind, len(body), body))
	return hex.EncodeToString(sum[:])
}
