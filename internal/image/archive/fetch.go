package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Downloads is the address of GitHub's archives of all versions.
const Downloads = "https://github.com/actions/runner/releases/download"

// ReleasesHint tells a person where to find versions and checksums of GitHub's runner.
const ReleasesHint = "https://github.com/actions/runner/releases has versions and checksums, for --runner-version and --sha256; " +
	"on this machine --agent-archive builds from a file"

// A Fetcher downloads archives into a folder, and reuses those that are there.
type Fetcher struct {
	Base     string                                     // such as [Downloads]
	Dir      string                                     // the folder for archives; created if needed
	Client   *http.Client                               // nil for http.DefaultClient
	Progress func(got, total int64)                     // called now and then; total is -1 if unknown; may be nil
	Pause    func(context.Context, time.Duration) error // waits; nil for a timer
}

// Limits of repeated requests. GitHub refuses requests for a while (403, 429) if many come from
// one address, and says for how long.
const (
	fetchTries   = 6
	firstPause   = 2 * time.Second
	longestPause = 5 * time.Minute
)

// Refused is an unsuccessful answer.
type Refused struct {
	URL    string
	Status int
	After  time.Duration // how long to wait before the next request, according to the answer; 0 if it does not say
}

func (e *Refused) Error() string {
	return fmt.Sprintf("GET %s: %d %s", e.URL, e.Status, http.StatusText(e.Status))
}

// passing reports whether a later request may succeed.
func (e *Refused) passing() bool {
	return e.Status == http.StatusForbidden || e.Status == http.StatusTooManyRequests ||
		e.Status == http.StatusRequestTimeout || e.Status >= 500
}

// Fetch returns the archive of a version for an architecture, from the folder or from the network.
// sum is required: an archive with another checksum is [ErrChecksum] and is not kept. Fetch
// repeats a request that was not answered or was refused temporarily; if that lasts, the error
// is a [*Refused].
func (f Fetcher) Fetch(ctx context.Context, arch, version, sum string) (File, error) {
	name := Name(version, arch)
	switch {
	case name == "":
		return File{}, fmt.Errorf("runner for %s: GitHub has none", arch)
	case sum == "":
		return File{}, fmt.Errorf("archive %s: %w: none was given to compare with", name, ErrChecksum)
	}
	target := filepath.Join(f.Dir, name)
	if kept, err := Open(target, arch, version, sum); err == nil {
		return kept, nil
	}
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		return File{}, err
	}
	url := f.Base + "/v" + version + "/" + name
	for try := 1; ; try++ {
		err := f.download(ctx, url, target, func(file string) error {
			_, err := Open(file, arch, version, sum)
			return err
		})
		if err == nil {
			return Open(target, arch, version, sum)
		}
		pause, again := pauseAfter(err, try)
		if !again || ctx.Err() != nil {
			return File{}, fmt.Errorf("fetching runner %s: %w", version, err)
		}
		if err := f.pause(ctx, pause); err != nil {
			return File{}, err
		}
	}
}

// pauseAfter returns how long to wait after a failed try, and whether to try again.
func pauseAfter(err error, try int) (time.Duration, bool) {
	var refused *Refused
	switch {
	case try >= fetchTries, errors.Is(err, ErrChecksum), errors.Is(err, ErrContent):
		return 0, false
	case errors.As(err, &refused) && !refused.passing():
		return 0, false
	case errors.As(err, &refused) && refused.After > 0:
		return refused.After, refused.After <= longestPause
	}
	return firstPause << (try - 1), true
}

func (f Fetcher) pause(ctx context.Context, d time.Duration) error {
	if f.Pause != nil {
		return f.Pause(ctx, d)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// download gets url into target. target appears complete and checked, or not at all.
func (f Fetcher) download(ctx context.Context, url, target string, check func(file string) error) (err error) {
	part, err := os.CreateTemp(f.Dir, ".part-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	if err := errors.Join(f.get(ctx, url, part), part.Close()); err != nil {
		return err
	}
	if err := check(part.Name()); err != nil {
		return err
	}
	return os.Rename(part.Name(), target)
}

func (f Fetcher) get(ctx context.Context, url string, w io.Writer) error {
	client := f.Client
	if client == nil {
		client = http.DefaultClient
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // 0 for a date or a missing header
		after := time.Duration(min(seconds, math.MaxInt32)) * time.Second
		return &Refused{URL: url, Status: response.StatusCode, After: after}
	}
	_, err = io.Copy(w, &counted{Reader: response.Body, total: response.ContentLength, tell: f.Progress})
	return err
}

// counted reports how much of it has been read.
type counted struct {
	io.Reader
	got, total int64
	tell       func(got, total int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.got += int64(n)
	if c.tell != nil {
		c.tell(c.got, c.total)
	}
	return n, err
}
