package rollout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/mayfly-ci/mayfly/internal/aws/build"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
	"github.com/mayfly-ci/mayfly/internal/aws/stack"
	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/source"
)

// ImageFrom is what an image on AWS is built from.
type ImageFrom struct {
	Files   source.Source
	Over    bool         // Files replace a commit that somebody else pushed to CodeCommit
	Archive archive.File // of GitHub's runner, to be uploaded for the build; the zero value for a download in AWS
	Arch    string       // the architecture of Archive

	// Release returns the runner for the image if there is no Archive.
	Release func(context.Context) (image.Release, error)
}

// runner returns the release of GitHub's runner for the image. It uploads an archive to the place
// where builds look first.
func (s *Site) runner(ctx context.Context, from ImageFrom) (image.Release, error) {
	if from.Archive.Path == "" {
		return from.Release(ctx)
	}
	body, err := os.ReadFile(from.Archive.Path)
	if err == nil {
		_, err = s.bucket().Put(ctx, deploy.NewArtifact("archives/runner", body, ".tar.gz"))
	}
	return image.Release{Version: image.Version(from.Archive.Version), SHA256: map[string]string{from.Arch: from.Archive.SHA256}}, err
}

// filesOf reads all of a source.
func filesOf(s source.Source) (files []build.File, err error) {
	err = s.Walk(func(name string, content io.Reader, info fs.FileInfo) error {
		body, err := io.ReadAll(content)
		files = append(files, build.File{Name: name, Body: body, Executable: info.Mode()&0o111 != 0})
		return err
	})
	return files, err
}

func sourceZip(s source.Source) ([]byte, error) {
	files, err := filesOf(s)
	if err != nil {
		return nil, err
	}
	contents := map[string][]byte{}
	for _, f := range files {
		contents[f.Name] = f.Body
	}
	return deploy.Zip(contents)
}

// image makes sure that there is an image of the source for each architecture, and puts it
// among the parameters; it reports whether one of them is not launched yet.
func (d *Deployment) image(ctx context.Context) (changed bool, err error) {
	from, err := d.kept(ctx, d.state, d.Image)
	if err != nil {
		return false, err
	}
	there, err := d.Images(d.state).List(ctx)
	if err != nil {
		return false, err
	}
	for _, arch := range d.settings.Architectures() {
		name := deploy.ImageDigest + stack.Suffix(arch)
		digest, err := d.imageFor(ctx, from, there, arch, d.Parameters[name])
		if err != nil {
			return false, err
		}
		changed = changed || digest != d.Parameters[name]
		d.Parameters[name] = digest
	}
	return changed, nil
}

// imageFor returns the digest of the image to launch. If the launched image is of the source,
// it stays, since it may be a newer release or a rollback; else the newest image of the source,
// which is built if there is none.
func (d *Deployment) imageFor(ctx context.Context, from kept, there []build.Image, arch, launched string) (string, error) {
	newest := ""
	for _, i := range there { // newest first
		switch {
		case i.Architecture != arch || i.Revision != from.revision:
		case i.Digest == launched:
			return launched, nil
		case newest == "":
			newest = i.Digest
		}
	}
	if newest != "" {
		return newest, nil
	}
	runner, err := d.runner(ctx, d.Image)
	if err != nil {
		return "", err
	}
	return d.build(ctx, d.state, runner, from, arch)
}

// A kept source is stored where builds read it.
type kept struct {
	revision string
	commit   string // in CodeCommit; "" where the source is an artifact in S3
}

// kept stores a source where builds read it: in CodeCommit, or in the bucket, where Upload has put
// it already.
func (s *Site) kept(ctx context.Context, state deploy.State, from ImageFrom) (kept, error) {
	if s.AWS.Source == "s3" {
		return kept{revision: from.Files.Revision}, nil
	}
	files, err := filesOf(from.Files)
	if err != nil {
		return kept{}, err
	}
	name := state.Outputs["SourceName"]
	head, changed, err := build.NewRepository(s.Account.Config, name).Commit(ctx, files, "mayfly: image source "+from.Files.Revision, from.Over)
	if err != nil {
		return kept{}, err
	}
	there := kept{source.Revision(head.Tree), head.Commit}
	switch {
	case changed:
		s.note("committed image source %s to %s", from.Files.Revision, name)
	case there.revision != from.Files.Revision:
		s.note("image source: %s has a commit of %s (%.12s), which is built in place of source %s; --source DIR replaces it",
			name, head.By.Name, head.Commit, from.Files.Revision)
	}
	return there, nil
}

// BuildImages builds an image for each architecture in CodeBuild and calls done with its
// digest. Whether an image becomes current is decided by the stack's release function, which
// hears of the end of each build.
func (s *Site) BuildImages(ctx context.Context, state deploy.State, from ImageFrom, architectures []string, done func(arch, digest string)) error {
	runner, err := s.runner(ctx, from)
	if err != nil {
		return err
	}
	if s.AWS.Source == "s3" {
		if err := isDeployed(state, from.Files); err != nil {
			return err
		}
	}
	kept, err := s.kept(ctx, state, from)
	if err != nil {
		return err
	}
	for _, arch := range architectures {
		digest, err := s.build(ctx, state, runner, kept, arch)
		if err != nil {
			return err
		}
		done(arch, digest)
	}
	return nil
}

// build builds an image of the source in CodeBuild, reports its log, and returns its digest.
// It waits for a build of something else that is running.
func (s *Site) build(ctx context.Context, state deploy.State, r image.Release, from kept, arch string) (string, error) {
	if r.SHA256[arch] == "" {
		return "", cli.Hint(fmt.Errorf("runner %s: no archive for %s", r.Version, arch), archive.ReleasesHint)
	}
	p := build.NewProject(s.Account.Config, state.Outputs["BuildName"+stack.Suffix(arch)])
	p.Look = s.Stack.Look
	started, err := s.startBuild(ctx, p, from.commit, build.Variables(string(r.Version), r.SHA256[arch], from.revision))
	if err != nil {
		return "", err
	}
	s.note("building the image for %s with runner %s: %s", arch, r.Version, started.ID)
	ended, err := p.Follow(ctx, started.ID, func(line string) { s.note("  %s", line) })
	if err != nil {
		return "", err
	}
	digest := ended.Exported[build.ExportedDigest]
	if !build.IsDigest(digest) {
		return "", fmt.Errorf("build %s: %s is %q: not a digest", ended.ID, build.ExportedDigest, digest)
	}
	return digest, nil
}

// startBuild starts a build once no other one of the project runs.
func (s *Site) startBuild(ctx context.Context, p *build.Project, commit string, env map[string]string) (build.Build, error) {
	for {
		started, err := p.Start(ctx, commit, env)
		var other *build.Busy
		if !errors.As(err, &other) {
			return started, err
		}
		s.note("waiting for build %s, which started earlier", other.Build.ID)
		if ended, err := p.Follow(ctx, other.Build.ID, func(string) {}); err != nil && !ended.Ended { // its result does not matter here
			return build.Build{}, err
		}
	}
}

// isDeployed reports an error when a source in S3 differs from the stack's, whose key is a
// parameter of the stack.
func isDeployed(state deploy.State, files source.Source) error {
	zip, err := sourceZip(files)
	if err != nil {
		return err
	}
	if key := deploy.NewArtifact("source", zip, ".zip").Key; key != state.Parameters[deploy.SourceKey] {
		return cli.Hint(fmt.Errorf("image source %s is not the one that is deployed", files.Revision), "mayfly deploy uploads and builds it")
	}
	return nil
}
