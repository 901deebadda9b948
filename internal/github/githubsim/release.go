package githubsim

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A RunnerRelease is a release of actions/runner.
type RunnerRelease struct {
	Version   string            // such as 2.337.0
	Published time.Time         // the Sim's time if zero
	Archives  map[string][]byte // what is there to download, by platform, such as linux-x64
	SHA256    map[string]string // what the notes say, by platform; the truth by default

	id int64
}

// runnerEnds are the dates from when a version is refused.
type runnerEnds struct{ registration, runtime time.Time }

// PublishRunner makes r the latest release of actions/runner.
func (s *Sim) PublishRunner(r RunnerRelease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Published.IsZero() {
		r.Published = s.now()
	}
	r.id = s.nextID()
	sums := map[string]string{}
	for platform, archive := range r.Archives {
		sum := sha256.Sum256(archive)
		sums[platform] = hex.EncodeToString(sum[:])
	}
	maps.Copy(sums, r.SHA256)
	r.SHA256 = sums
	s.releases = append(s.releases, r)
}

// DeprecateRunner sets from when runners of a version may not register, and from when
// they get no messages; zero times set no end.
func (s *Sim) DeprecateRunner(version string, registration, runtime time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[version] = runnerEnds{registration, runtime}
}

// past reports whether an end that is set has come. The caller holds mu.
func (s *Sim) past(end time.Time) bool { return !end.IsZero() && !s.now().Before(end) }

// tooOld is what a runner hears whose version gets no messages any more.
// https://github.com/actions/runner/blob/main/src/Sdk/WebApi/WebApi/BrokerHttpClient.cs
func tooOld(version string) reply {
	return brokerRefusal(http.StatusForbidden, "RunnerVersionTooOld", "Runner version v"+version+" is deprecated and cannot receive messages.")
}

func (s *Sim) releaseRoutes() {
	s.forAll("GET /repos/actions/runner/releases/latest", func(c call) reply { return ok(s.latest().shape(c)) })
	s.forAll("GET /repos/actions/runner/releases", s.listReleases)
	s.forAll("GET /repos/actions/runner/releases/{id}/assets", s.listAssets)
	s.mux.HandleFunc("GET /actions/runner/releases/download/{tag}/{file}", s.download)
}

// latest returns the newest release. The caller holds mu.
func (s *Sim) latest() RunnerRelease { return s.releases[len(s.releases)-1] }

func (s *Sim) listReleases(c call) reply {
	shapes := []object{}
	for _, r := range slices.Backward(s.releases) {
		shapes = append(shapes, r.shape(c))
	}
	part, links := page(c, shapes)
	return reply{http.StatusOK, part, links}
}

func (s *Sim) listAssets(c call) reply {
	for _, r := range s.releases {
		if r.id == c.id("id") {
			part, links := page(c, r.assets(c))
			return reply{http.StatusOK, part, links}
		}
	}
	return notFound()
}

// download gives an archive to anybody.
func (s *Sim) download(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	var archive []byte
	for _, release := range s.releases {
		for platform, content := range release.Archives {
			if r.PathValue("tag") == "v"+release.Version && r.PathValue("file") == release.file(platform) {
				archive = content
			}
		}
	}
	s.mu.Unlock()
	if archive == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(archive) // whoever asked has gone
}

// path is where a release's archive is, below the address of the Sim.
func (r RunnerRelease) path(platform string) string {
	return "/actions/runner/releases/download/v" + r.Version + "/" + r.file(platform)
}

func (r RunnerRelease) file(platform string) string {
	return "actions-runner-" + platform + "-" + r.Version + ".tar.gz"
}

// notes are the words of a release, with its checksums where GitHub puts them.
// https://github.com/actions/runner/blob/main/releaseNote.md
func (r RunnerRelease) notes() string {
	var b strings.Builder
	b.WriteString("## What's Changed\n\n## SHA-256 Checksums\n\nThe SHA-256 checksums for the packages included in this build are shown below:\n\n")
	for _, platform := range slices.Sorted(maps.Keys(r.SHA256)) {
		fmt.Fprintf(&b, "- %s <!-- BEGIN SHA %[2]s -->%[3]s<!-- END SHA %[2]s -->\n", r.file(platform), platform, r.SHA256[platform])
	}
	return b.String()
}

func (r RunnerRelease) shape(c call) object {
	url := c.api() + "/repos/actions/runner/releases/" + itoa(r.id)
	return object{
		"url": url, "html_url": c.web + "/actions/runner/releases/tag/v" + r.Version, "assets_url": url + "/assets",
		"upload_url": url + "/assets{?name,label}", "tarball_url": url + "/tarball", "zipball_url": url + "/zipball",
		"id": r.id, "node_id": nodeID("RE", r.id), "tag_name": "v" + r.Version, "target_commitish": "main", "name": "v" + r.Version,
		"body": r.notes(), "draft": false, "prerelease": false, "immutable": false,
		"created_at": timestamp(r.Published), "published_at": timestamp(r.Published), "author": senderShape(c.web), "assets": r.assets(c),
	}
}

// assets returns the files of a release. The digests are those of the files, whatever the notes say.
func (r RunnerRelease) assets(c call) []object {
	list := []object{}
	for n, platform := range slices.Sorted(maps.Keys(r.Archives)) {
		id := r.id*100 + int64(n)
		sum := sha256.Sum256(r.Archives[platform])
		list = append(list, object{
			"url": c.api() + "/repos/actions/runner/releases/assets/" + itoa(id), "id": id, "node_id": nodeID("RA", id),
			"browser_download_url": c.web + r.path(platform),
			"name":                 r.file(platform), "label": nil, "state": "uploaded", "content_type": "application/x-gzip",
			"size": len(r.Archives[platform]), "digest": "sha256:" + hex.EncodeToString(sum[:]), "download_count": 0,
			"created_at": timestamp(r.Published), "updated_at": timestamp(r.Published), "uploader": senderShape(c.web),
		})
	}
	return list
}

// forAll adds a route for everybody: who brings no token shares an hourly limit with all
// from the same address. An answer that has not changed since the one whose ETag is
// brought is 304, which counts all the same where there is no token.
// https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
func (s *Sim) forAll(pattern string, h handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		writeReply(w, s.locked(func() reply {
			return s.limited(w, call{Request: r, web: s.base(r), cred: cmp.Or(s.credential(r), s.anybody(r))}, conditional(h))
		}))
	})
}

// anybody is the credential of requests without a token. The caller holds mu.
func (s *Sim) anybody(r *http.Request) *credential {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	c := s.anonymous[host]
	if c == nil {
		c = &credential{limit: s.cfg.AnonymousLimit}
		s.anonymous[host] = c
	}
	return c
}

// conditional gives answers their ETag.
func conditional(h handler) handler {
	return func(c call) reply {
		r := h(c)
		if r.code != http.StatusOK {
			return r
		}
		text, err := json.Marshal(r.body)
		if err != nil {
			panic(err) // texts, numbers and booleans only
		}
		sum := sha256.Sum256(text)
		tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
		r.header = maps.Clone(r.header)
		if r.header == nil {
			r.header = map[string]string{}
		}
		r.header["ETag"] = tag
		if c.Header.Get("If-None-Match") == tag {
			r.code, r.body = http.StatusNotModified, nil
		}
		return r
	}
}

// deprecation answers when a version is refused.
func (s *Sim) deprecation(version string) reply {
	ends := s.endsOf(version)
	return ok(object{
		"runner_version": version, "registration_deprecates_at": timestamp(ends.registration), "runtime_deprecates_at": timestamp(ends.runtime),
	})
}
