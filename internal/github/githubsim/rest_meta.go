package githubsim

import (
	"net/http"
	"strconv"
)

func (s *Sim) routes() {
	s.mux = http.NewServeMux()
	s.runnerRoutes()
	s.runRestRoutes()
	s.hookRoutes()
	s.appRoutes()
	s.registerRoutes()
	s.brokerRoutes()
	s.runRoutes()
	s.resultRoutes()
	s.controlRoutes()
	s.asScope("GET /repos/{owner}/{repo}", func(c call) reply { return ok(c.scope.repo.shape(c.web)) })
	s.asToken("GET /repos/actions/runner/releases/latest", s.latestRunner)
	s.asToken("GET /rate_limit", s.rateLimit)
	s.mux.HandleFunc("GET /meta", s.answer(func(call) reply {
		return ok(object{"verifiable_password_authentication": false, "hooks": []string{"127.0.0.0/8"}, "api": []string{"127.0.0.0/8"}})
	}))
	s.mux.HandleFunc("/", s.answer(func(call) reply { return notFound() }))
}

// latestRunner gives the newest release of actions/runner.
func (s *Sim) latestRunner(c call) reply {
	version := s.cfg.RunnerVersion
	url := c.api() + "/repos/actions/runner/releases/1"
	page := "https://github.com/actions/runner/releases"
	file := "actions-runner-linux-x64-" + version + ".tar.gz"
	return ok(object{
		"url": url, "html_url": page + "/tag/v" + version, "assets_url": url + "/assets", "upload_url": url + "/assets{?name,label}",
		"tarball_url": url + "/tarball", "zipball_url": url + "/zipball", "id": 1, "node_id": nodeID("RE", 1), "tag_name": "v" + version,
		"target_commitish": "main", "name": "v" + version, "body": "", "draft": false, "prerelease": false,
		"created_at": timestamp(s.now()), "published_at": timestamp(s.now()), "author": senderShape(c.web),
		"assets": []object{{
			"url": url + "/assets/1", "browser_download_url": page + "/download/v" + version + "/" + file, "id": 1, "node_id": nodeID("RA", 1),
			"name": file, "label": nil, "state": "uploaded", "content_type": "application/x-gzip", "size": 1, "digest": nil, "download_count": 0,
			"created_at": timestamp(s.now()), "updated_at": timestamp(s.now()), "uploader": senderShape(c.web),
		}},
	})
}

func (s *Sim) rateLimit(c call) reply {
	core := object{"limit": s.cfg.RateLimit, "used": c.cred.used, "remaining": s.cfg.RateLimit - c.cred.used, "reset": c.cred.reset.Unix()}
	return ok(object{"resources": object{"core": core, "search": core}, "rate": core})
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
