package githubsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/hook"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

func (s *Sim) hookRoutes() {
	for _, base := range []string{"/repos/{owner}/{repo}", "/orgs/{org}"} {
		s.asScope("GET "+base+"/hooks", s.listHooks)
		s.asScope("POST "+base+"/hooks", s.createHook)
		one := base + "/hooks/{hook}"
		s.asScope("GET "+one, s.withHook(func(c call, h hook.Hook) reply { return ok(s.hookShape(c, h)) }))
		s.asScope("PATCH "+one, s.withHook(s.changeHook))
		s.asScope("DELETE "+one, s.withHook(s.deleteHook))
		s.asScope("GET "+one+"/config", s.withHook(showConfig))
		s.asScope("PATCH "+one+"/config", s.withHook(s.changeConfig))
		s.asScope("POST "+one+"/pings", s.withHook(s.pingHook))
		s.deliveryRoutes(one, s.asScope, s.withHook)
	}
	s.asApp("GET /app/hook/config", s.withAppHook(showConfig))
	s.asApp("PATCH /app/hook/config", s.withAppHook(s.changeConfig))
	s.deliveryRoutes("/app/hook", s.asApp, s.withAppHook)
}

// deliveryRoutes adds the routes of a hook's deliveries; of an App or not, they
// are the same.
func (s *Sim) deliveryRoutes(base string, route func(string, handler), with func(func(call, hook.Hook) reply) handler) {
	route("GET "+base+"/deliveries", with(s.listDeliveries))
	route("GET "+base+"/deliveries/{delivery}", with(s.showDelivery))
	route("POST "+base+"/deliveries/{delivery}/attempts", with(s.redeliver))
}

// hookTarget gives what a hook under c's scope belongs to.
func (c call) hookTarget() hook.Target {
	if c.scope.repo != nil {
		return hook.Target{Type: hook.TargetRepository, ID: c.scope.repo.id}
	}
	return hook.Target{Type: hook.TargetOrganization, ID: c.scope.owner.id}
}

func (s *Sim) withHook(h func(call, hook.Hook) reply) handler {
	return func(c call) reply {
		found, there := s.hooks.Get(c.hookTarget(), c.id("hook"))
		if !there {
			return notFound()
		}
		return h(c, found)
	}
}

func (s *Sim) withAppHook(h func(call, hook.Hook) reply) handler {
	return func(c call) reply {
		found, there := s.hooks.Get(s.appTarget(), s.appHook)
		if !there {
			return notFound()
		}
		return h(c, found)
	}
}

func (s *Sim) appTarget() hook.Target { return hook.Target{Type: hook.TargetApp, ID: s.cfg.App.ID} }

// addAppHook gives the App its webhook.
func (s *Sim) addAppHook(app *App) {
	h := s.hooks.Create(hook.Hook{
		Target: s.appTarget(), Active: app.Hook != "", Events: []string{"workflow_job", "workflow_run", "push"},
		Config: hook.Config{URL: app.Hook, ContentType: "json", InsecureSSL: "0", Secret: app.Secret},
	})
	s.appHook = h.ID
}

// A hookInput is the body of calls that make or change a hook; nil is not given.
type hookInput struct {
	Config *configInput `json:"config"`
	Events []string     `json:"events"`
	Add    []string     `json:"add_events"`
	Remove []string     `json:"remove_events"`
	Active *bool        `json:"active"`
}

type configInput struct {
	URL         *string `json:"url"`
	ContentType *string `json:"content_type"`
	Secret      *string `json:"secret"`
	InsecureSSL any     `json:"insecure_ssl"` // a text or a number
}

// into applies the given settings to c.
func (in *configInput) into(c *hook.Config) {
	if in == nil {
		return
	}
	if in.URL != nil {
		c.URL = *in.URL
	}
	if in.ContentType != nil {
		c.ContentType = *in.ContentType
	}
	if in.Secret != nil {
		c.Secret = secret.New(*in.Secret)
	}
	if in.InsecureSSL != nil {
		c.InsecureSSL = fmt.Sprint(in.InsecureSSL)
	}
}

// wrong returns what GitHub would refuse of a configuration.
func wrong(c hook.Config) string {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "url: want an http or https URL"
	case c.ContentType != "json" && c.ContentType != "form":
		return "content_type: want json or form"
	}
	return ""
}

// hookRefused gives a 422 in the form that the hook calls have.
func hookRefused(message string) reply {
	return reply{code: http.StatusUnprocessableEntity, body: object{
		"message": "Validation Failed", "documentation_url": "https://docs.github.com/rest",
		"errors": []object{{"resource": "Hook", "code": "custom", "message": message}},
	}}
}

func (s *Sim) listHooks(c call) reply {
	part, links := page(c, s.hooks.List(c.hookTarget()))
	shapes := []object{}
	for _, h := range part {
		shapes = append(shapes, s.hookShape(c, h))
	}
	return reply{http.StatusOK, shapes, links}
}

func (s *Sim) createHook(c call) reply {
	var in hookInput
	if !c.decode(&in) {
		return badJSON()
	}
	h := hook.Hook{Target: c.hookTarget(), Active: in.Active == nil || *in.Active, Events: in.Events}
	h.Config = hook.Config{ContentType: "form", InsecureSSL: "0"}
	in.Config.into(&h.Config)
	if h.Events == nil {
		h.Events = []string{"push"}
	}
	if why := wrong(h.Config); why != "" {
		return hookRefused(why)
	}
	same := func(o hook.Hook) bool { return o.Config.URL == h.Config.URL && slices.Equal(o.Events, h.Events) }
	if slices.ContainsFunc(s.hooks.List(h.Target), same) {
		return hookRefused("Hook already exists on this repository")
	}
	h = s.hooks.Create(h)
	s.hooks.Ping(h.ID, s.ping(c, h))
	shape := s.hookShape(c, h)
	return reply{http.StatusCreated, shape, map[string]string{"Location": shape["url"].(string)}}
}

func (s *Sim) changeHook(c call, h hook.Hook) reply {
	var in hookInput
	if !c.decode(&in) {
		return badJSON()
	}
	in.Config.into(&h.Config)
	if why := wrong(h.Config); why != "" {
		return hookRefused(why)
	}
	return ok(s.hookShape(c, s.hooks.Update(h.ID, func(h *hook.Hook) {
		in.Config.into(&h.Config)
		if in.Events != nil {
			h.Events = in.Events
		}
		for _, e := range in.Add {
			if !slices.Contains(h.Events, e) {
				h.Events = append(slices.Clone(h.Events), e)
			}
		}
		h.Events = slices.DeleteFunc(slices.Clone(h.Events), func(e string) bool { return slices.Contains(in.Remove, e) })
		if in.Active != nil {
			h.Active = *in.Active
		}
	})))
}

func (s *Sim) deleteHook(_ call, h hook.Hook) reply {
	s.hooks.Delete(h.Target, h.ID)
	return noContent()
}

func showConfig(_ call, h hook.Hook) reply { return ok(configShape(h.Config)) }

func (s *Sim) changeConfig(c call, h hook.Hook) reply {
	var in configInput
	if !c.decode(&in) {
		return badJSON()
	}
	in.into(&h.Config)
	if why := wrong(h.Config); why != "" {
		return hookRefused(why)
	}
	return ok(configShape(s.hooks.Update(h.ID, func(h *hook.Hook) {
		in.into(&h.Config)
		h.Active = true
	}).Config))
}

func configShape(c hook.Config) object {
	out := object{"url": c.URL, "content_type": c.ContentType, "insecure_ssl": c.InsecureSSL}
	if !c.Secret.IsZero() {
		out["secret"] = "********"
	}
	return out
}

func (s *Sim) pingHook(c call, h hook.Hook) reply {
	s.hooks.Ping(h.ID, s.ping(c, h))
	return noContent()
}

// ping gives the event that says that a hook works.
func (s *Sim) ping(c call, h hook.Hook) hook.Event {
	payload := object{
		"zen": "Anything added dilutes everything else.", "hook_id": h.ID, "hook": s.hookShape(c, h), "sender": senderShape(c.web),
	}
	e := hook.Event{Name: "ping", Payload: payload}
	if repo := c.scope.repo; repo != nil {
		payload["repository"], e.Repository = repo.shape(c.web), repo.id
	} else {
		payload["organization"] = c.scope.owner.organization(c.web)
	}
	return e
}

func (s *Sim) hookShape(c call, h hook.Hook) object {
	url := fmt.Sprintf("%s/%s/hooks/%d", c.api(), c.scope.path(s.cfg.Enterprise), h.ID)
	out := object{
		"id": h.ID, "name": "web", "active": h.Active, "events": h.Events, "config": configShape(h.Config), "url": url,
		"ping_url": url + "/pings", "deliveries_url": url + "/deliveries", "created_at": timestamp(h.Created), "updated_at": timestamp(h.Updated),
		"type": "Organization",
	}
	if c.scope.repo != nil {
		var code any
		status := "unused"
		if h.LastCode != 0 {
			code, status = h.LastCode, "active"
		}
		out["type"], out["test_url"] = "Repository", url+"/tests"
		out["last_response"] = object{"code": code, "status": status, "message": null(h.LastMessage)}
	}
	return out
}

// listDeliveries pages by cursor, the newest first. The cursor is the id to begin
// at; to a client it is opaque.
func (s *Sim) listDeliveries(c call, h hook.Hook) reply {
	all := s.hooks.Deliveries(h.ID)
	switch c.URL.Query().Get("status") {
	case "success":
		all = slices.DeleteFunc(all, func(d hook.Delivery) bool { return d.Code >= 400 })
	case "failure":
		all = slices.DeleteFunc(all, func(d hook.Delivery) bool { return d.Code < 400 })
	}
	if text := c.URL.Query().Get("cursor"); text != "" {
		cursor, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return refusal(http.StatusBadRequest, "Invalid cursor")
		}
		all = slices.DeleteFunc(all, func(d hook.Delivery) bool { return d.ID > cursor })
	}
	var links []string
	if size := c.number("per_page", 30, 100); len(all) > size {
		q := c.URL.Query()
		q.Set("cursor", strconv.FormatInt(all[size].ID, 10))
		links = append(links, c.link("next", q))
		all = all[:size]
	}
	shapes := []object{}
	for _, d := range all {
		shapes = append(shapes, deliveryShape(d))
	}
	return reply{http.StatusOK, shapes, linkHeader(links)}
}

func deliveryShape(d hook.Delivery) object {
	number := func(n int64) any {
		if n == 0 {
			return nil
		}
		return n
	}
	return object{
		"id": d.ID, "guid": d.GUID, "delivered_at": timestamp(d.At), "redelivery": d.Redelivery, "duration": d.Duration.Seconds(),
		"status": d.Status, "status_code": d.Code, "event": d.Event.Name, "action": null(d.Event.Action),
		"installation_id": number(d.Event.Installation), "repository_id": number(d.Event.Repository), "throttled_at": nil,
	}
}

func (s *Sim) showDelivery(c call, h hook.Hook) reply {
	d, found := s.hooks.Delivery(h.ID, c.id("delivery"))
	if !found {
		return notFound()
	}
	out := deliveryShape(d)
	out["url"] = h.Config.URL
	out["request"] = object{"headers": headerShape(d.RequestHeaders), "payload": json.RawMessage(d.Body)}
	out["response"] = object{"headers": headerShape(d.AnswerHeaders), "payload": null(d.Answer)}
	return ok(out)
}

// headerShape gives null where there were none.
func headerShape(h map[string]string) any {
	if h == nil {
		return nil
	}
	return h
}

func (s *Sim) redeliver(c call, h hook.Hook) reply {
	if !s.hooks.Redeliver(h.ID, c.id("delivery")) {
		return notFound()
	}
	return reply{code: http.StatusAccepted, body: object{}}
}
