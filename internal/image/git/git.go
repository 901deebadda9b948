// Package git names files and folders as git does, without a git: the same files have
// the same name here, in a clone of theirs, and at whoever keeps them.
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

// A File is one as a tree has it.
type File struct {
	Blob       string // name of its content, see [Blob]
	Executable bool
}

// Blob is git's name of a content, as `git hash-object` prints it.
func Blob(content []byte) string { return object("blob", content) }

// Tree is git's name of files, by their paths with slashes: what `git rev-parse
// HEAD^{tree}` prints of a commit of these and no others.
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

// key is what entries are in the order of: a folder as if its name ended with a slash.
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
