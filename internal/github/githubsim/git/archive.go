package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
)

// The formats of [Repository.Archive].
const (
	TarGz = "tar.gz"
	Zip   = "zip"
)

// commitID is a commit's id, or the beginning of one.
var commitID = regexp.MustCompile(`^[0-9a-f]{4,40}$`)

// CommitOf returns the whole id of the commit that id, or its beginning, names; "" if
// the repository has none.
func (r *Repository) CommitOf(ctx context.Context, id string) string {
	if !commitID.MatchString(id) {
		return ""
	}
	out, err := r.run(ctx, "rev-parse", "--verify", "--quiet", id+"^{commit}")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// Archive writes the files of a commit to w, below the folder prefix.
func (r *Repository) Archive(ctx context.Context, w io.Writer, format, prefix, commit string) error {
	if !commitID.MatchString(commit) {
		return fmt.Errorf("archive of %q: want the id of a commit", commit)
	}
	cmd := exec.CommandContext(ctx, "git", "--git-dir", r.dir, "archive", "--format="+format, "--prefix="+prefix+"/", commit)
	var said lockedBuffer
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), w, &said
	if err := cmd.Run(); err != nil {
		return errors.Join(fmt.Errorf("git archive %s: %w", commit, err), errorText(said.String()))
	}
	return nil
}

// errorText gives what a program said as an error, nil if it said nothing.
func errorText(text string) error {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return errors.New(text)
}
