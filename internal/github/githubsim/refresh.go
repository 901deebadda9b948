package githubsim

import "strings"

// SetUpdates has runners whose version is older than the newest release told to update
// themselves, or not: what is on at GitHub is off here, as it takes a release with files
// that are runners (see PublishRunner).
func (s *Sim) SetUpdates(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellUpdates(on)
}

func (s *Sim) tellUpdates(on bool) {
	s.updates = on
	for r := range s.waiting {
		r.nudge()
	}
}

// setUpdates is SetUpdates over HTTP.
func (s *Sim) setUpdates(c call) reply {
	var in struct {
		Enabled bool `json:"enabled"`
	}
	if !c.decode(&in) {
		return badJSON()
	}
	s.tellUpdates(in.Enabled)
	return noContent()
}

// refresh tells r, which polls, to update itself, once in a session: unless it is busy,
// says that it does not update itself, is of the newest version, or there is nothing for
// its platform. The caller holds mu.
// https://github.com/actions/runner/blob/main/src/Sdk/DTWebApi/WebApi/RunnerRefreshMessage.cs
func (s *Sim) refresh(r *runner, c call) {
	q, latest := c.URL.Query(), s.latest()
	platform := platformOf(q.Get("os"), q.Get("architecture"))
	switch {
	case !s.updates || r.job != nil || r.refreshed == r.session || q.Get("disableUpdate") == "true":
		return
	case latest.Archives[platform] == nil || !older(q.Get("runnerVersion"), latest.Version):
		return
	}
	r.refreshed = r.session
	os, _, _ := strings.Cut(platform, "-")
	r.post(messageRefresh, object{
		"target_version": latest.Version, "download_url": latest.path(platform), "sha256_checksum": latest.SHA256[platform], "os": os,
	})
}

// platformOf gives a runner's platform as releases name it, such as linux-x64.
func platformOf(os, architecture string) string {
	names := map[string]string{"linux": "linux", "macos": "osx", "windows": "win"}
	return names[strings.ToLower(os)] + "-" + strings.ToLower(architecture)
}
