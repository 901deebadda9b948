package githubsim

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (s *Sim) appRoutes() {
	s.asApp("GET /app", func(c call) reply { return ok(s.appShape(c)) })
	s.asApp("GET /app/installations", s.listInstallations)
	s.asApp("POST /app/installations/{id}/access_tokens", s.issueInstallationToken)
	s.asApp("GET /repos/{owner}/{repo}/installation", func(c call) reply {
		return s.installationOf(c, c.PathValue("owner"), s.repository(c.PathValue("owner")+"/"+c.PathValue("repo")) != nil)
	})
	s.asApp("GET /orgs/{org}/installation", func(c call) reply { return s.installationOf(c, c.PathValue("org"), true) })
	s.asApp("GET /users/{user}/installation", func(c call) reply { return s.installationOf(c, c.PathValue("user"), true) })
	s.mux.HandleFunc("POST /app-manifests/{code}/conversions", s.answer(s.convertManifest))
}

// permissions are what the App has been given: what scaling runners takes.
func permissions() object {
	return object{
		"actions": "read", "administration": "write", "metadata": "read", "organization_self_hosted_runners": "write",
		"repository_hooks": "write", "organization_hooks": "write",
	}
}

func (s *Sim) appShape(c call) object {
	app := s.cfg.App
	return object{
		"id": app.ID, "slug": app.Slug, "node_id": nodeID("A", app.ID), "client_id": "Iv1.githubsim", "owner": senderShape(c.web),
		"name": app.Slug, "description": "", "external_url": c.web, "html_url": c.web + "/apps/" + app.Slug, "permissions": permissions(),
		"events": []string{"workflow_job", "workflow_run", "push"}, "installations_count": len(s.accounts),
		"created_at": timestamp(s.now()), "updated_at": timestamp(s.now()),
	}
}

func (s *Sim) installationShape(c call, a *account) object {
	kind := "Organization"
	if a.user {
		kind = "User"
	}
	app := s.cfg.App
	api := c.api()
	// the description wants of an account what users have and what enterprises have
	account := merged(a.shape(c.web), object{
		"name": a.login, "slug": a.login, "created_at": timestamp(a.created), "updated_at": timestamp(a.created),
	})
	return object{
		"id": a.installation, "account": account, "repository_selection": "all", "app_id": app.ID, "app_slug": app.Slug,
		"access_tokens_url": api + "/app/installations/" + itoa(a.installation) + "/access_tokens",
		"repositories_url":  api + "/installation/repositories", "html_url": c.web + "/settings/installations/" + itoa(a.installation),
		"target_id": a.id, "target_type": kind, "permissions": permissions(), "events": []string{"workflow_job", "workflow_run", "push"},
		"created_at": timestamp(a.created), "updated_at": timestamp(a.created), "single_file_name": nil, "suspended_by": nil, "suspended_at": nil,
	}
}

func (s *Sim) listInstallations(c call) reply {
	var all []*account
	for _, a := range s.accounts {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *account) int { return cmp.Compare(a.id, b.id) })
	part, links := page(c, all)
	shapes := []object{}
	for _, a := range part {
		shapes = append(shapes, s.installationShape(c, a))
	}
	return reply{http.StatusOK, shapes, links}
}

func (s *Sim) installationOf(c call, login string, there bool) reply {
	a := s.accounts[strings.ToLower(login)]
	if a == nil || !there {
		return notFound()
	}
	return ok(s.installationShape(c, a))
}

func (s *Sim) issueInstallationToken(c call) reply {
	for _, a := range s.accounts {
		if a.installation != c.id("id") {
			continue
		}
		expires := s.now().Add(time.Hour)
		token, err := s.installationToken(s.cfg.App.ID, a, expires)
		if err != nil {
			return refusal(http.StatusInternalServerError, err.Error())
		}
		if c.Header.Get("X-GitHub-Stateless-S2S-Token") == "disabled" {
			token = newToken("ghs_") // of 40 characters, as before 2026
		}
		s.creds[digestOf(token)] = &credential{owner: a, expires: expires}
		return created(object{
			"token": token, "expires_at": timestamp(expires), "permissions": permissions(), "repository_selection": "all",
		})
	}
	return notFound()
}

// An AppManifest is an App that is being made by the manifest flow.
// https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
type AppManifest struct {
	App    App
	PEM    string // private key
	Client string // id for OAuth
}

// appCode is an AppManifest that waits for its conversion.
type appCode struct {
	manifest AppManifest
	expires  time.Time
}

// OfferApp has POST /app-manifests/{code}/conversions answer with m, once and
// within the hour, as after a person has confirmed the App in a browser.
func (s *Sim) OfferApp(code string, m AppManifest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = appCode{m, s.now().Add(time.Hour)}
}

func (s *Sim) convertManifest(c call) reply {
	offer, found := s.codes[c.PathValue("code")]
	if !found || !s.now().Before(offer.expires) {
		return notFound()
	}
	delete(s.codes, c.PathValue("code"))
	app := offer.manifest.App
	return created(object{
		"id": app.ID, "slug": app.Slug, "node_id": nodeID("A", app.ID), "owner": senderShape(c.web), "name": app.Slug, "description": "",
		"external_url": c.web, "html_url": c.web + "/apps/" + app.Slug, "permissions": permissions(),
		"events": []string{"workflow_job"}, "created_at": timestamp(s.now()), "updated_at": timestamp(s.now()),
		"client_id": first(offer.manifest.Client, "Iv1.githubsim"), "client_secret": newToken(""),
		"webhook_secret": null(app.Secret.Reveal()), "pem": offer.manifest.PEM,
	})
}
