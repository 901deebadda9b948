package main

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
	imagesource "github.com/mayfly-ci/mayfly/internal/image/source"
)

// imageOnAWS is what the image on AWS is built from.
type imageOnAWS struct {
	Source  string `help:"Folder with the image's source, in place of the configuration's." type:"existingdir" placeholder:"DIR"`
	Version string `name:"runner-version" help:"Version of GitHub's runner to build, such as 2.336.0; the newest by default." placeholder:"VERSION"`
	SHA256  string `name:"sha256" help:"SHA-256 of that runner's archive." placeholder:"HEX"`
	Archive string `name:"agent-archive" help:"That runner's archive, in place of a download in AWS: actions-runner-linux-x64-VERSION.tar.gz." type:"existingfile" placeholder:"FILE"`

	file archive.File // the archive, once it has been looked at
	arch string       // what it is for
}

// look looks at the archive, if one was given.
func (c *imageOnAWS) look() (err error) {
	if c.Archive == "" {
		return nil
	}
	if c.arch = archive.Architecture(c.Archive); c.arch == "" {
		return cli.Usage(fmt.Errorf("archive %s: its name does not say for which processor it is", c.Archive), "name it as GitHub does, such as %s", archive.Name("2.336.0", "amd64"))
	}
	c.file, err = archive.Open(c.Archive, c.arch, c.Version, c.SHA256)
	return explainArchive(err)
}

// source opens the image's source.
func (c imageOnAWS) source(s setup) (imagesource.Source, error) {
	settings := imageSettings{Image: s.Image}
	if settings.Source != "" {
		settings.Source = s.Abs(settings.Source)
	}
	if c.Source != "" {
		settings.Source = c.Source
	}
	return settings.open()
}

// runner returns the release of GitHub's runner that is to be in the image. An archive that
// was given is brought to where builds look first.
func (c imageOnAWS) runner(ctx context.Context, to *cloud) (image.Release, error) {
	if c.Archive != "" {
		body, err := os.ReadFile(c.file.Path)
		if err == nil {
			_, err = to.bucket().Put(ctx, deploy.NewArtifact("archives/runner", body, ".tar.gz"))
		}
		return image.Release{Version: image.Version(c.file.Version), SHA256: map[string]string{c.arch: c.file.SHA256}}, err
	}
	if c.Version == "" {
		return newestRunner(ctx, to.Image.Feed)
	}
	v, err := image.ParseVersion(c.Version)
	if err != nil || c.SHA256 == "" {
		return image.Release{}, cli.Usage(fmt.Errorf("runner version %q with SHA-256 %q: want both", c.Version, c.SHA256), runnerHint)
	}
	return image.Release{Version: v, SHA256: map[string]string{"amd64": c.SHA256, "arm64": c.SHA256}}, nil
}

// filesOf reads all of a source.
func filesOf(s imagesource.Source) (files []build.File, err error) {
	err = s.Walk(func(name string, content io.Reader, info fs.FileInfo) error {
		body, err := io.ReadAll(content)
		files = append(files, build.File{Name: name, Body: body, Executable: info.Mode()&0o111 != 0})
		return err
	})
	return files, err
}

func sourceZip(s imagesource.Source) ([]byte, error) {
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

// bucket has what the stack is made from.
func (c *cloud) bucket() *deploy.Bucket {
	return deploy.NewBucket(c.account.Config, c.account.ID, c.stack.Name)
}

// tasks are what launches images.
func (c *cloud) tasks() *build.Tasks {
	return build.NewTasks(c.account.Config, c.stack.Name, c.repositoryURI())
}

// repositoryURI is where the stack's images are, whether the stack is there or not.
func (c *cloud) repositoryURI() string {
	return fmt.Sprintf("%s.dkr.ecr.%s.%s/%s-runner", c.account.ID, c.account.Region(), c.account.Suffix(), c.stack.Name)
}

// images are in the stack's repository.
func (c *cloud) images(state deploy.State) *build.Images {
	return build.NewImages(c.account.Config, state.Outputs["RepositoryName"])
}

// image sees to it that there is an image of the source for each architecture, and
// puts it among the parameters; it reports whether one of them is not launched yet.
func (d *deployment) image(ctx context.Context) (changed bool, err error) {
	from, err := d.commit(ctx)
	if err != nil {
		return false, err
	}
	there, err := d.images(d.state).List(ctx)
	if err != nil {
		return false, err
	}
	for _, arch := range d.settings.Architectures() {
		name := deploy.ImageDigest + stack.Suffix(arch)
		digest, err := d.imageFor(ctx, from, there, arch, d.parameters[name])
		if err != nil {
			return false, err
		}
		changed = changed || digest != d.parameters[name]
		d.parameters[name] = digest
	}
	return changed, nil
}

// A committed source is one where builds get it.
type committed struct {
	revision string
	commit   string // in CodeCommit; "" where it is an artifact
}

// commit brings the source to where builds get it.
func (d *deployment) commit(ctx context.Context) (committed, error) {
	if d.AWS.Source == "s3" {
		return committed{revision: d.files.Revision}, nil
	}
	return d.commitSource(ctx, d.state, d.screen, d.files, d.Source != "")
}

// commitSource makes a source what is in CodeCommit. A commit that somebody else has
// pushed there is the source instead, unless over is set.
func (c *cloud) commitSource(ctx context.Context, state deploy.State, screen *cli.Screen, source imagesource.Source, over bool) (committed, error) {
	files, err := filesOf(source)
	if err != nil {
		return committed{}, err
	}
	name := state.Outputs["SourceName"]
	head, changed, err := build.NewRepository(c.account.Config, name).Commit(ctx, files, "mayfly: image source "+source.Revision, over)
	if err != nil {
		return committed{}, err
	}
	there := committed{imagesource.Revision(head.Tree), head.Commit}
	switch {
	case changed:
		screen.Notef("image source %s committed to %s", source.Revision, name)
	case there.revision != source.Revision:
		screen.Notef("image source: %s has a commit of %s (%.12s), which is built in place of source %s; --source DIR replaces it",
			name, cli.Printable(head.By.Name), head.Commit, source.Revision)
	}
	return there, nil
}

// imageFor returns the digest of the image to launch: what is launched, if it is of the
// source, which may be a newer release or a rollback; else the newest of the source, built
// if need be.
func (d *deployment) imageFor(ctx context.Context, from committed, there []build.Image, arch, launched string) (string, error) {
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
	runner, err := d.runner(ctx, d.cloud)
	if err != nil {
		return "", err
	}
	return d.buildImage(ctx, d.state, d.screen, runner, from, arch)
}

// buildImage builds an image of the source in AWS, with its log on standard error, and
// returns its digest. A build of something else that is running is waited for.
func (c *cloud) buildImage(ctx context.Context, state deploy.State, screen *cli.Screen, r image.Release, from committed, arch string) (string, error) {
	if r.SHA256[arch] == "" {
		return "", cli.Hint(fmt.Errorf("runner %s: there is no archive for %s", r.Version, arch), runnerHint)
	}
	p := build.NewProject(c.account.Config, state.Outputs["BuildName"+stack.Suffix(arch)])
	p.Look = c.stack.Look
	start := func() (build.Build, error) {
		return p.Start(ctx, from.commit, build.Variables(string(r.Version), r.SHA256[arch], from.revision))
	}
	started, err := start()
	for other := (*build.Busy)(nil); errors.As(err, &other); started, err = start() {
		screen.Notef("waiting for build %s, which has begun before", other.Build.ID)
		if ended, err := p.Follow(ctx, other.Build.ID, func(string) {}); err != nil && !ended.Ended { // how it ends is not our matter
			return "", err
		}
	}
	if err != nil {
		return "", err
	}
	screen.Notef("building the image for %s with runner %s: %s", arch, r.Version, started.ID)
	ended, err := p.Follow(ctx, started.ID, func(line string) { screen.Notef("  %s", cli.Printable(line)) })
	if err != nil {
		return "", err
	}
	digest := ended.Exported[build.ExportedDigest]
	if !build.IsDigest(digest) {
		return "", fmt.Errorf("build %s: %s is %q: want a digest", ended.ID, build.ExportedDigest, digest)
	}
	return digest, nil
}

// isDeployed reports an error when a source in S3 is another than the stack's: its key is
// a parameter of the stack.
func isDeployed(state deploy.State, files imagesource.Source) error {
	zip, err := sourceZip(files)
	if err != nil {
		return err
	}
	if key := deploy.NewArtifact("source", zip, ".zip").Key; key != state.Parameters[deploy.SourceKey] {
		return cli.Hint(fmt.Errorf("image source %s is not the stack's", files.Revision), "mayfly deploy brings it there, and builds it")
	}
	return nil
}
