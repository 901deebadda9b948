package engine

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"github.com/mayfly-ci/mayfly/internal/image/archive"
	"github.com/mayfly-ci/mayfly/internal/image/source"
)

// A Request describes an image to build.
type Request struct {
	Source source.Source
	Agent  string       // mayfly-agent on this host
	Runner archive.File // GitHub's runner
	Base   string       // image to build on; "" for the default in the Dockerfile

	Packages []string          // more packages of the base's distribution
	Proxy    map[string]string // variables that name a proxy, such as https_proxy
	Docker   bool              // add Docker's command line and buildx
	Log      io.Writer         // gets the output of the build as it arrives; may be nil
}

// Build builds an image and returns it with a unique tag. It uses no cache of earlier builds, so
// that an image has current packages, and it leaves nothing but the image. If a step of the
// Dockerfile fails, the error is a [*BuildError].
func (b *Builder) Build(ctx context.Context, r Request) (Image, error) {
	now := b.now().UTC()
	build := now.Format("20060102t150405") + "-" + strings.ToLower(rand.Text()[:4])
	tag := fmt.Sprintf("%s:%s-%s-%s", Repository, r.Runner.Version, r.Source.Revision, build)
	log := &buildLog{w: cmp.Or[io.Writer](r.Log, io.Discard)}
	defer func() { b.sweep(context.WithoutCancel(ctx), build, log) }()
	id, err := b.send(ctx, r, client.ImageBuildOptions{
		Tags: []string{tag}, Dockerfile: source.Dockerfile, NoCache: true, Remove: true, ForceRemove: true,
		BuildArgs: arguments(r, build, now),
	}, log)
	if err != nil {
		return Image{}, fmt.Errorf("building an image of runner %s: %w", r.Runner.Version, err)
	}
	i, err := b.Inspect(ctx, id)
	if err != nil { // a Dockerfile without our labels did not build a runner's image
		return Image{}, errors.Join(err, b.Remove(context.WithoutCancel(ctx), id))
	}
	return i, nil
}

// arguments returns the build arguments for the Dockerfile.
func arguments(r Request, build string, now time.Time) map[string]*string {
	args := map[string]string{
		source.ArgVersion: r.Runner.Version, source.ArgSHA256: r.Runner.SHA256,
		source.ArgRevision: r.Source.Revision, source.ArgTime: now.Format(time.RFC3339), source.ArgBuild: build,
	}
	if r.Base != "" {
		args[source.ArgBase] = r.Base
	}
	maps.Copy(args, r.Proxy) // engines accept these without an ARG in the Dockerfile
	if len(r.Packages) > 0 {
		args[source.ArgPackages] = strings.Join(r.Packages, " ")
	}
	if r.Docker {
		args[source.ArgDocker] = "yes"
	}
	pointers := map[string]*string{}
	for name, value := range args {
		pointers[name] = &value
	}
	return pointers
}

// send sends the files of r to the engine, follows the build, and returns the id of its image.
func (b *Builder) send(ctx context.Context, r Request, options client.ImageBuildOptions, log *buildLog) (string, error) {
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := pack(writer, r)
		packed <- err
		writer.CloseWithError(err)
	}()
	answer, err := b.api.ImageBuild(ctx, reader, options)
	reader.Close() // ends pack even if the engine has not read everything
	if err != nil {
		if packing := <-packed; packing != nil && !errors.Is(packing, io.ErrClosedPipe) {
			return "", packing
		}
		return "", err
	}
	defer answer.Body.Close()
	return log.follow(answer.Body)
}

// pack writes the files of the source, the agent and the runner's archive.
func pack(w io.Writer, r Request) error {
	out := tar.NewWriter(w)
	err := r.Source.Walk(func(name string, content io.Reader, info fs.FileInfo) error {
		return add(out, name, content, info.Size(), info.Mode()&0o111 != 0)
	})
	if err := errors.Join(err, addFile(out, source.AgentFile, r.Agent, true), addFile(out, source.ArchiveFile, r.Runner.Path, false)); err != nil {
		return err
	}
	return out.Close()
}

func addFile(out *tar.Writer, name, file string, executable bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return add(out, name, f, info.Size(), executable)
}

func add(out *tar.Writer, name string, content io.Reader, size int64, executable bool) error {
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0)}
	if executable {
		h.Mode = 0o755
	}
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(out, content)
	return err
}

// sweep removes what a build leaves besides its image: separate stages, and the steps of a failed
// build. What it cannot remove takes space, but the image is still good, so that is no error.
func (b *Builder) sweep(ctx context.Context, build string, log *buildLog) {
	filters := client.Filters{}.Add("dangling", "true").Add("label", source.LabelBuild+"="+build)
	err := again(ctx, func() error {
		_, err := b.api.ImagePrune(ctx, client.ImagePruneOptions{Filters: filters})
		return err
	})
	if err != nil {
		log.write(fmt.Sprintf("what build %s left is still there: %v\n", build, err))
	}
}

// A message is one of a build's stream.
type message struct {
	jsonstream.Message
	ErrorText string `json:"error"` // the only field from a Podman that fails early
}

// follow reads the stream of a build to its end and returns the image's id.
func (l *buildLog) follow(stream io.Reader) (id string, err error) {
	for messages := json.NewDecoder(stream); ; {
		var m message
		switch err := messages.Decode(&m); {
		case errors.Is(err, io.EOF) && id == "":
			return "", l.failed("the build ended without an image")
		case errors.Is(err, io.EOF):
			return id, nil
		case err != nil:
			return "", fmt.Errorf("following the build: %w", err)
		}
		switch {
		case m.Error != nil:
			return "", l.failed(m.Error.Message)
		case m.ErrorText != "":
			return "", l.failed(m.ErrorText)
		case m.Aux != nil:
			var aux struct{ ID string }
			if err := json.Unmarshal(*m.Aux, &aux); err == nil && aux.ID != "" {
				id = aux.ID
			}
		case m.Stream != "":
			l.write(m.Stream)
		case m.Status != "" && m.Progress == nil: // without the progress of pulls, a message for every kilobyte
			l.write(strings.TrimPrefix(m.ID+": ", ": ") + m.Status + "\n")
		}
	}
}
