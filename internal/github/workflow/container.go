package workflow

import (
	"github.com/rhysd/actionlint"
)

// concurrency reads a concurrency:; raw has what actionlint does not read of it.
func (r *reader) concurrency(c *actionlint.Concurrency, raw any, contexts []string) *Concurrency {
	if c == nil {
		return nil
	}
	out := &Concurrency{Group: text(c.Group), CancelInProgress: boolText(c.CancelInProgress)}
	out.Queue, _ = member(raw, "queue").(string)
	r.check(c.Group, contexts...)
	if c.CancelInProgress != nil {
		r.check(c.CancelInProgress.Expression, contexts...)
	}
	switch {
	case out.Queue != "" && out.Queue != "max" && out.Queue != "single":
		r.fault(c.Pos, "queue %q: want single or max", out.Queue)
	case out.Queue == "max" && out.CancelInProgress != "" && out.CancelInProgress != "false":
		r.fault(c.Pos, "queue: max with cancel-in-progress: want one of the two")
	}
	return out
}

func (r *reader) container(c *actionlint.Container, raw any) *Container {
	if c == nil {
		return nil
	}
	out := &Container{
		Image: text(c.Image), Options: text(c.Options), Env: r.env(c.Env), Ports: textsOf(raw, "ports"), Volumes: textsOf(raw, "volumes"),
	}
	if c.Credentials != nil {
		out.Username, out.Password = text(c.Credentials.Username), text(c.Credentials.Password)
	}
	return out
}

func (r *reader) services(s *actionlint.Services, raw any) []Service {
	if s == nil {
		return nil
	}
	if s.Expression != nil {
		r.fault(s.Expression.Pos, "services as one expression is not supported by githubsim")
		return nil
	}
	var out []Service
	for _, one := range byPosition(s.Value, func(s *actionlint.Service) *actionlint.Pos { return s.Name.Pos }) {
		if c := r.container(one.Container, member(raw, one.Name.Value)); c != nil {
			c.Entrypoint, _ = member(member(raw, one.Name.Value), "entrypoint").(string)
			c.Command, _ = member(member(raw, one.Name.Value), "command").(string)
			out = append(out, Service{one.Name.Value, *c})
		}
	}
	return out
}
