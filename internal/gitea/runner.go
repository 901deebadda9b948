package gitea

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Program is the name by which the agent knows Gitea's runner.
const Program = "gitea"

// A runnerFile is .runner, what Gitea's runner keeps of its registration.
// https://gitea.com/gitea/runner/src/tag/v1.0.8/internal/pkg/config/registration.go
type runnerFile struct {
	ID        int64    `json:"id"`
	UUID      string   `json:"uuid"`
	Name      string   `json:"name"`
	Token     string   `json:"token"`
	Address   string   `json:"address"`
	Labels    []string `json:"labels"`
	Ephemeral bool     `json:"ephemeral"`
}

// Register implements forge.Forge with the call that Gitea's runner itself makes, as
// ephemeral. What it returns is .runner; the registration token stays here.
// https://gitea.com/gitea/actions-proto-def/src/branch/main/proto/runner/v1/services.proto
func (c *Client) Register(ctx context.Context, at forge.Scope, r forge.Registration) (forge.Registered, error) {
	doing := fmt.Sprintf("registering runner %q at %s", r.Name, at)
	if r.Name == "" || len(r.Labels) == 0 || len(r.Labels) > 100 {
		return forge.Registered{}, fmt.Errorf("%s: %d labels: want a name and 1 to 100 labels", doing, len(r.Labels))
	}
	switch _, found, err := c.runnerByName(ctx, at, r.Name); {
	case err != nil:
		return forge.Registered{}, err
	case found:
		return forge.Registered{}, &forge.Error{Doing: doing, Kind: forge.ErrConflict}
	}
	labels, err := c.spelled(ctx, at, r.Labels)
	if err != nil {
		return forge.Registered{}, err
	}
	made, err := c.register(ctx, doing, at, r.Name, labels)
	if err != nil {
		return forge.Registered{}, err
	}
	made.Address, made.Ephemeral = c.web, true
	for _, l := range labels {
		made.Labels = append(made.Labels, l+":host") // or it would want a container engine
	}
	text, err := json.Marshal(made)
	if err != nil {
		return forge.Registered{}, fmt.Errorf("%s: %w", doing, err)
	}
	return forge.Registered{RunnerID: made.ID, Config: secret.New(string(text)), Program: Program}, nil
}

// register registers an ephemeral runner. A registration token that was kept may have been
// reset by a person: then it is asked for once more.
func (c *Client) register(ctx context.Context, doing string, at forge.Scope, name string, labels []string) (runnerFile, error) {
	for again := false; ; again = true {
		token, err := c.registrationToken(ctx, at, again)
		if err != nil {
			return runnerFile{}, err
		}
		var answer struct{ Runner wireRunner }
		err = c.do(ctx, request{
			doing: doing, method: http.MethodPost, path: "api/actions/runner.v1.RunnerService/Register", root: true, into: &answer,
			body: map[string]any{"name": name, "token": token.Reveal(), "version": "mayfly", "labels": labels, "ephemeral": true},
		})
		if refused := (*forge.Error)(nil); !again && errors.As(err, &refused) && strings.Contains(refused.Message, "registration token") {
			continue // with a status of 500 (routers/api/actions/runner/runner.go)
		}
		if err == nil && (answer.Runner.ID == "" || answer.Runner.Token == "") {
			err = &forge.Error{Doing: doing, Kind: forge.ErrUnavailable, Lost: true, Message: "answer without a runner or its token"}
		}
		if err != nil {
			return runnerFile{}, err
		}
		id, err := answer.Runner.ID.Int64()
		return runnerFile{ID: id, UUID: answer.Runner.UUID, Name: name, Token: answer.Runner.Token}, err
	}
}

// A wireRunner is a runner of the protocol of runners. JSON of protocol buffers has numbers of 64 bits as text.
// https://protobuf.dev/programming-guides/json/
type wireRunner struct {
	ID          json.Number
	UUID, Token string
}

// registrationToken returns the token with which runners are registered at a place. It is the
// same until a person resets it.
// https://docs.gitea.com/usage/actions/act-runner#register-the-runner
func (c *Client) registrationToken(ctx context.Context, at forge.Scope, renew bool) (secret.Secret, error) {
	c.mu.Lock()
	kept, ok := c.tokens[at]
	c.mu.Unlock()
	if ok && !renew {
		return kept, nil
	}
	doing := fmt.Sprintf("asking for the registration token of %s", at)
	path, err := placePath(doing, at)
	if err != nil {
		return secret.Secret{}, err
	}
	var answer struct{ Token string }
	if err := c.do(ctx, request{doing: doing, method: http.MethodPost, path: path + "/actions/runners/registration-token", into: &answer, needs: scopeFor(at)}); err != nil {
		return secret.Secret{}, err
	}
	token := secret.New(answer.Token)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[at] = token
	return token, nil
}

type apiRunner struct {
	ID     int64
	Name   string
	Status string
	Busy   bool
	Labels []struct{ Name string }
}

// Runners implements forge.Forge. Busy is what the jobs that run say, as Gitea's own word on it
// is about the last ten seconds (models/actions/runner.go, RunnerIdleTime).
func (c *Client) Runners(ctx context.Context, at forge.Scope) ([]forge.Runner, error) {
	list, err := c.registered(ctx, at)
	if err != nil {
		return nil, err
	}
	busy, err := c.busy(ctx, at)
	if err != nil {
		return nil, err
	}
	all := make([]forge.Runner, len(list))
	for i, r := range list {
		all[i] = forge.Runner{ID: r.ID, Name: r.Name, Online: r.Status == "online", Busy: busy[r.ID]}
		for _, l := range r.Labels {
			all[i].Labels = append(all[i].Labels, l.Name)
		}
	}
	return all, nil
}

// maxReadings is how often a list that moves is read.
const maxReadings = 3

// registered reads the runners of a place. Gitea lists those first that it heard of last
// (models/actions/runner.go, ToOrders), so that one may move to a page that was read: a list that misses
// some is read again, and what was seen is put together.
func (c *Client) registered(ctx context.Context, at forge.Scope) ([]apiRunner, error) {
	doing := "listing the runners of " + at.String()
	path, err := placePath(doing, at)
	if err != nil {
		return nil, err
	}
	type page struct {
		Runners []apiRunner
		Total   int `json:"total_count"`
	}
	seen := map[int64]apiRunner{}
	for range maxReadings {
		total := 0
		err = list(ctx, c, request{doing: doing, method: http.MethodGet, path: path + "/actions/runners", needs: scopeFor(at)}, func(p page) (int, bool) {
			for _, r := range p.Runners {
				seen[r.ID] = r
			}
			total = p.Total
			return len(p.Runners), true
		})
		if err != nil || len(seen) >= total {
			break
		}
	}
	return slices.SortedFunc(maps.Values(seen), func(a, b apiRunner) int { return cmp.Compare(a.ID, b.ID) }), err
}

func (c *Client) runnerByName(ctx context.Context, at forge.Scope, name string) (r apiRunner, found bool, err error) {
	list, err := c.registered(ctx, at)
	for _, r := range list {
		if r.Name == name {
			return r, true, err
		}
	}
	return r, false, err
}

// busy returns the ids of the runners that have a job at a place.
func (c *Client) busy(ctx context.Context, at forge.Scope) (map[int64]bool, error) {
	ids := map[int64]bool{}
	err := c.jobs(ctx, at, "in_progress", func(j apiJob) { ids[j.RunnerID] = true })
	return ids, err
}

// RemoveRunner implements forge.Forge. Gitea would remove a runner that has a job, too: so
// it is first closed to new jobs, and kept when it has one then.
func (c *Client) RemoveRunner(ctx context.Context, at forge.Scope, id int64) error {
	doing := fmt.Sprintf("removing runner %d from %s", id, at)
	path, err := placePath(doing, at)
	if err != nil {
		return err
	}
	r := request{doing: doing, method: http.MethodPatch, path: fmt.Sprintf("%s/actions/runners/%d", path, id), needs: scopeFor(at), body: map[string]bool{"disabled": true}}
	err = c.do(ctx, r)
	if err == nil {
		var busy map[int64]bool
		if busy, err = c.busy(ctx, at); err == nil && busy[id] {
			return &forge.Error{Doing: doing, Kind: forge.ErrBusy}
		}
	}
	if err == nil {
		r.method, r.body = http.MethodDelete, nil
		err = c.do(ctx, r)
	}
	if errors.Is(err, forge.ErrNotFound) {
		return nil
	}
	return err
}

// ForgetRunner implements forge.Forge.
func (c *Client) ForgetRunner(ctx context.Context, at forge.Scope, name string) error {
	list, err := c.registered(ctx, at)
	var faults error
	for _, r := range list {
		if r.Name == name {
			faults = errors.Join(faults, c.RemoveRunner(ctx, at, r.ID))
		}
	}
	return errors.Join(err, faults)
}
