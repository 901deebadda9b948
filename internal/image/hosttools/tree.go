package hosttools

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A tree has the files of an image by absolute path. It keeps the host's links, so that a path means
// the same file on the host and in the image.
type tree struct {
	entries   map[string]*entry
	libraries libraries
}

// An entry is a folder, a link, a file of the host, or generated content.
type entry struct {
	mode    int64
	owner   int // user and group id
	folder  bool
	target  string
	source  string
	content []byte
}

func newTree() *tree {
	return &tree{entries: map[string]*entry{}, libraries: hostLibraries()}
}

func (t *tree) put(at string, content []byte) {
	t.mkdir(path.Dir(at))
	t.entries[at] = &entry{mode: 0o644, content: content}
}

// mkdir adds a folder and its parents. No part of the path may be a link.
func (t *tree) mkdir(at string) {
	for ; at != "/" && t.entries[at] == nil; at = path.Dir(at) {
		t.entries[at] = &entry{mode: 0o755, folder: true}
	}
}

// maxLinks is how many links a path may contain, as in Linux.
const maxLinks = 40

// resolve adds the folders and links on the path of file, and returns its path without links.
func (t *tree) resolve(file string) (string, error) {
	rest := strings.Split(strings.Trim(path.Clean(file), "/"), "/")
	at, links := "/", 0
	for len(rest) > 0 {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			return "", err
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(next)
			if err != nil {
				return "", err
			}
			if links++; links > maxLinks {
				return "", fmt.Errorf("%s: too many links", file)
			}
			t.mkdir(at)
			t.entries[next] = &entry{mode: 0o777, target: target}
			if path.IsAbs(target) {
				at = "/"
			}
			rest = append(strings.Split(strings.Trim(path.Clean(target), "/"), "/"), rest...)
		case info.IsDir():
			t.mkdir(next)
			at = next
		default:
			at = next
		}
	}
	return at, nil
}

// add adds a file of the host and what it needs to run.
func (t *tree) add(file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	real, err := t.resolve(file)
	if err != nil || t.entries[real] != nil {
		return err
	}
	return t.addAt(real, real)
}

// addAt adds a file of the host at another path, and what it needs to run.
func (t *tree) addAt(at, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: want a file", file)
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755 // drops setuid and setgid
	}
	t.mkdir(path.Dir(at))
	t.entries[at] = &entry{mode: mode, source: file}
	return t.needs(file)
}

// addAll adds all files below root, without those that this user may not read.
func (t *tree) addAll(root string) error {
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := t.add(file); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// needs adds what file needs to run: a script's interpreter, a program's libraries.
func (t *tree) needs(file string) error {
	if interpreter := shebang(file); interpreter != "" {
		if err := t.add(interpreter); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	needed, err := t.libraries.of(file)
	if err != nil {
		return err
	}
	for _, library := range needed {
		if err := t.add(library); err != nil {
			return fmt.Errorf("%s needs %s: %w", file, library, err)
		}
	}
	return nil
}

// shebang returns the interpreter of a script, or "" for other files.
func shebang(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n')
	rest, found := strings.CutPrefix(line, "#!")
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 || !path.IsAbs(fields[0]) {
		return ""
	}
	return fields[0]
}
