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
	s.repositoryRoutes()
	s.registerRoutes()
	s.brokerRoutes()
	s.runRoutes()
	s.resultRoutes()
	s.controlRoutes()
	s.releaseRoutes()
	s.gitRoutes()
	s.asScope("GET /repos/{owner}/{repo}", func(c call) reply { return ok(c.scope.repo.shape(c.web)) })
	s.asToken("GET /rate_limit", s.rateLimit)
	s.mux.HandleFunc("GET /meta", s.answer(func(call) reply {
		return ok(object{"verifiable_password_authentication": false, "hooks": []string{"127.0.0.0/8"}, "api": []string{"127.0.0.0/8"}})
	}))
	s.mux.HandleFunc("/", s.answer(func(call) reply { return notFound() }))
}

func (s *Sim) rateLimit(c call) reply {
	core := object{"limit": s.cfg.RateLimit, "used": c.cred.used, "remaining": s.cfg.RateLimit - c.cred.used, "reset": c.cred.reset.Unix()}
	return ok(object{"resources": object{"core": core, "search": core}, "rate": core})
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
