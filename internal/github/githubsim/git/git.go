// Package git keeps bare repositories in a folder: commits made from files in
// memory, and git's smart HTTP for everyone else. Writing a commit needs no git
// program; serving and reading what was pushed does.
package git

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Repository is one bare repository. Whoever changes it sees to it that nobody
// else does at the same time; reading and serving may go on beside.
type Repository struct {
	dir  string
	root string // the folder above owner/name.git, for git's own server
}

// A Commit is one commit and what it holds.
type Commit struct {
	SHA, Tree string
	Message   string
	Author    string // name
	Email     string
	Time      time.Time
	Files     map[string]string // by path; of a commit that was pushed only those that were asked for
}

// Init makes a bare repository for name, an owner/name, under root.
func Init(root, name string) (*Repository, error) {
	if !safe(name) {
		return nil, fmt.Errorf("repository %q: want owner/name", name)
	}
	r := &Repository{dir: filepath.Join(root, filepath.FromSlash(name)+".git"), root: root}
	for _, d := range []string{"objects", "refs/heads", "refs/tags"} {
		if err := os.MkdirAll(filepath.Join(r.dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	files := map[string]string{
		"HEAD":   "ref: refs/heads/main\n",
		"config": config,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// config has clients fetch what GitHub lets them fetch: any commit by its id, as
// actions/checkout does, and with filters.
const config = `[core]
	repositoryformatversion = 0
	bare = true
[receive]
	autogc = false
[gc]
	auto = 0
[uploadpack]
	allowFilter = true
	allowReachableSHA1InWant = true
	allowAnySHA1InWant = true
`

// safe reports whether name is two plain path elements.
func safe(name string) bool {
	owner, repo, ok := strings.Cut(name, "/")
	return ok && plain(owner) && plain(repo)
}

func plain(element string) bool {
	return element != "" && element[0] != '.' && !strings.ContainsAny(element, "/\\\x00")
}

// Commit stores c on branch, on top of parent ("" for none), and returns it with
// its ids. Files are the whole content.
func (r *Repository) Commit(branch, parent string, c Commit) (Commit, error) {
	c, err := r.Store(parent, c)
	if err != nil {
		return c, err
	}
	return c, r.SetRef("refs/heads/"+branch, c.SHA)
}

// Store is [Repository.Commit] of a commit that is on no branch yet.
func (r *Repository) Store(parent string, c Commit) (Commit, error) {
	for name := range c.Files {
		if !filepath.IsLocal(name) || path.Clean(name) != name {
			return c, fmt.Errorf("file %q: want a path inside the repository", name)
		}
	}
	var err error
	if c.Tree, err = r.Tree(c.Files); err != nil {
		return c, err
	}
	c.SHA, err = r.object("commit", commitText(c, parent))
	return c, err
}

func commitText(c Commit, parent string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", c.Tree)
	if parent != "" {
		fmt.Fprintf(&b, "parent %s\n", parent)
	}
	for _, who := range []string{"author", "committer"} {
		fmt.Fprintf(&b, "%s %s <%s> %d +0000\n", who, c.Author, c.Email, c.Time.Unix())
	}
	fmt.Fprintf(&b, "\n%s\n", c.Message)
	return b.Bytes()
}

// Tree stores files as a tree object, and its folders as trees of their own, and returns
// its id.
func (r *Repository) Tree(files map[string]string) (string, error) {
	type entry struct{ key, mode, name, sha string }
	var entries []entry
	folders := map[string]map[string]string{}
	for name, text := range files {
		if dir, rest, nested := strings.Cut(name, "/"); nested {
			if folders[dir] == nil {
				folders[dir] = map[string]string{}
			}
			folders[dir][rest] = text
			continue
		}
		sha, err := r.object("blob", []byte(text))
		if err != nil {
			return "", err
		}
		entries = append(entries, entry{name, "100644", name, sha})
	}
	for dir, inside := range folders {
		sha, err := r.Tree(inside)
		if err != nil {
			return "", err
		}
		entries = append(entries, entry{dir + "/", "40000", dir, sha}) // git sorts a folder as if it ended in a slash
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	var b bytes.Buffer
	for _, e := range entries {
		id, _ := hex.DecodeString(e.sha) // object made it
		fmt.Fprintf(&b, "%s %s\x00%s", e.mode, e.name, id)
	}
	return r.object("tree", b.Bytes())
}

// object stores a loose object and returns its id.
func (r *Repository) object(kind string, data []byte) (string, error) {
	full, id := identify(kind, data)
	file := filepath.Join(r.dir, "objects", id[:2], id[2:])
	if _, err := os.Stat(file); err == nil {
		return id, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(full); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return id, os.WriteFile(file, packed.Bytes(), 0o644)
}

// BlobID is the id that git gives a file with this text.
func BlobID(text string) string {
	_, id := identify("blob", []byte(text))
	return id
}

// identify returns the stored form of an object, and its id.
func identify(kind string, data []byte) (full []byte, id string) {
	full = append(fmt.Appendf(nil, "%s %d\x00", kind, len(data)), data...)
	sum := sha1.Sum(full)
	return full, hex.EncodeToString(sum[:])
}

// SetRef points ref, such as refs/heads/main, at sha.
func (r *Repository) SetRef(ref, sha string) error {
	if !filepath.IsLocal(ref) || strings.Contains(ref, "..") {
		return fmt.Errorf("ref %q: want one such as refs/heads/main", ref)
	}
	file := filepath.Join(r.dir, filepath.FromSlash(ref))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(sha+"\n"), 0o644)
}

// RemoveRef removes a ref that [Repository.SetRef] or a push made.
func (r *Repository) RemoveRef(ref string) error {
	if !filepath.IsLocal(ref) {
		return fmt.Errorf("ref %q: want one such as refs/heads/main", ref)
	}
	return os.Remove(filepath.Join(r.dir, filepath.FromSlash(ref)))
}

// Refs returns every branch and tag and the commit it points to, that of an annotated
// tag too.
func (r *Repository) Refs(ctx context.Context) (map[string]string, error) {
	const format = "%(refname) %(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)" // * is what a tag is of
	out, err := r.run(ctx, "for-each-ref", "--format="+format, "refs/heads", "refs/tags")
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		if ref, sha, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			refs[ref] = sha
		}
	}
	return refs, nil
}

// Read returns the commit that sha names, with the files that want allows.
func (r *Repository) Read(ctx context.Context, sha string, want func(path string) bool) (Commit, error) {
	out, err := r.run(ctx, "log", "-1", "--no-show-signature", "--format=%H%x00%T%x00%an%x00%ae%x00%at%x00%B", "--end-of-options", sha, "--")
	if err != nil {
		return Commit{}, err
	}
	f := strings.SplitN(out, "\x00", 6)
	if len(f) != 6 {
		return Commit{}, fmt.Errorf("commit %s: git answered %q", sha, out)
	}
	var seconds int64
	if _, err := fmt.Sscan(f[4], &seconds); err != nil {
		return Commit{}, fmt.Errorf("commit %s: time %q: %w", sha, f[4], err)
	}
	c := Commit{SHA: f[0], Tree: f[1], Author: f[2], Email: f[3], Time: time.Unix(seconds, 0).UTC(), Message: strings.TrimSpace(f[5]), Files: map[string]string{}}
	list, err := r.run(ctx, "ls-tree", "-r", "-z", "--name-only", c.SHA)
	if err != nil {
		return c, err
	}
	for _, name := range strings.Split(list, "\x00") {
		if name == "" || !want(name) {
			continue
		}
		if c.Files[name], err = r.run(ctx, "cat-file", "blob", c.SHA+":"+name); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Changed returns the paths that differ between two commits; with before "", all of after's.
func (r *Repository) Changed(ctx context.Context, before, after string) ([]string, error) {
	args := []string{"diff", "--name-only", "-z", "--end-of-options", before, after, "--"}
	if before == "" {
		args = []string{"ls-tree", "-r", "-z", "--name-only", after}
	}
	out, err := r.run(ctx, args...)
	return strings.FieldsFunc(out, func(c rune) bool { return c == 0 }), err
}

// run runs git on the repository and returns what it says.
func (r *Repository) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--git-dir", r.dir}, args...)...)
	cmd.Env = environment()
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(exit.Stderr))
	}
	return string(out), err
}

// environment keeps out the user's git configuration.
func environment() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C"}
}
