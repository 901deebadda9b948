package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	gh "github.com/google/go-github/v88/github"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Register registers a runner for one job, by one POST and nothing else, except
// that a group's name is looked up once. It goes before all other calls. Errors to expect besides the usual: ErrConflict,
// when a runner of that name is there, also from an attempt of one's own whose
// answer was lost ([Client.ForgetRunner] helps); ErrLost, when there may be one
// now.
// https://docs.github.com/en/rest/actions/self-hosted-runners#create-configuration-for-a-just-in-time-runner-for-a-repository
func (c *Client) Register(ctx context.Context, s Scope, j JITRequest) (JIT, error) {
	path, err := runnersPath(s)
	if err != nil {
		return JIT{}, err
	}
	if j.Name == "" || len(j.Labels) == 0 || len(j.Labels) > 100 {
		return JIT{}, fmt.Errorf("registering runner %q with %d labels: want a name and 1 to 100 labels", j.Name, len(j.Labels))
	}
	group, err := c.groups.id(ctx, c, s, j.Group)
	if err != nil {
		return JIT{}, err
	}
	body := gh.GenerateJITConfigRequest{Name: j.Name, RunnerGroupID: group, Labels: j.Labels}
	if j.WorkFolder != "" {
		body.WorkFolder = &j.WorkFolder
	}
	var answer gh.JITRunnerConfig
	r := request{
		doing: fmt.Sprintf("registering runner %q at %s", j.Name, s), scope: s,
		method: http.MethodPost, path: path + "/generate-jitconfig", body: body, into: &answer,
		priority: urgent, needs: runnerPermission(s), group: cmp.Or(j.Group, "1"),
	}
	if _, err := c.do(ctx, r); err != nil {
		c.groups.forget(s, j.Group)
		return JIT{}, err
	}
	if answer.GetEncodedJITConfig() == "" || answer.Runner.GetID() == 0 {
		return JIT{}, &Error{Doing: r.doing, Kind: ErrUnavailable, Lost: true, Message: "answer without a runner or its configuration"}
	}
	return JIT{RunnerID: answer.Runner.GetID(), Config: secret.New(answer.GetEncodedJITConfig())}, nil
}

// Runners returns all runners of s. Runners come and go while pages are read, and one that
// moves to an earlier page is missed, so a list that changed is read again. If it changes each
// time, Runners returns all runners that it saw in any reading. Some of these may be gone, but
// a runner that is not in the result was not registered: callers remove what is missing here,
// so a runner too many is harmless and one too few is not.
// https://docs.github.com/en/rest/actions/self-hosted-runners#list-self-hosted-runners-for-a-repository
func (c *Client) Runners(ctx context.Context, s Scope) ([]Runner, error) {
	return c.runners(ctx, s, nil, housekeeping)
}

// maxReadings is how often a list that changes is read.
const maxReadings = 3

func (c *Client) runners(ctx context.Context, s Scope, query url.Values, p priority) ([]Runner, error) {
	path, err := runnersPath(s)
	if err != nil {
		return nil, err
	}
	r := request{
		doing: "listing the runners of " + s.String(), scope: s,
		method: http.MethodGet, path: path + "?" + query.Encode(), priority: p, needs: runnerPermission(s),
	}
	ever := map[int64]Runner{}
	for range maxReadings {
		now, moved, err := c.readRunners(ctx, r)
		if err != nil {
			return nil, err
		}
		maps.Copy(ever, now)
		if !moved {
			ever = now
			break
		}
	}
	return slices.SortedFunc(maps.Values(ever), func(a, b Runner) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// readRunners reads the list once and reports whether it changed meanwhile: GitHub's total
// differs between pages, or from the number of runners read.
func (c *Client) readRunners(ctx context.Context, r request) (all map[int64]Runner, moved bool, err error) {
	all = map[int64]Runner{}
	total := -1
	err = list(ctx, c.do, r, func(page gh.Runners) bool {
		moved = moved || total >= 0 && page.TotalCount != total
		total = page.TotalCount
		for _, one := range page.Runners {
			all[one.GetID()] = newRunner(one)
		}
		return true
	})
	return all, moved || len(all) != total, err
}

func newRunner(r *gh.Runner) Runner {
	labels := make([]string, len(r.Labels))
	for i, l := range r.Labels {
		labels[i] = l.GetName()
	}
	return Runner{
		ID: r.GetID(), Name: r.GetName(), OS: r.GetOS(),
		Online: r.GetStatus() == "online", Busy: r.GetBusy(), Labels: labels,
	}
}

// RunnerByName returns the runner called name, or [ErrNotFound].
func (c *Client) RunnerByName(ctx context.Context, s Scope, name string) (Runner, error) {
	r, found, err := c.runnerByName(ctx, s, name, housekeeping)
	if err == nil && !found {
		err = &Error{Doing: fmt.Sprintf("finding runner %q at %s", name, s), Kind: ErrNotFound}
	}
	return r, err
}

func (c *Client) runnerByName(ctx context.Context, s Scope, name string, p priority) (r Runner, found bool, err error) {
	some, err := c.runners(ctx, s, url.Values{"name": {name}}, p)
	if err != nil {
		return Runner{}, false, err
	}
	for _, r := range some { // an old Enterprise Server ignores the query and lists all
		if r.Name == name {
			return r, true, nil
		}
	}
	return Runner{}, false, nil
}

// RemoveRunner removes the registration id. It returns nil if that is gone already, and ErrBusy
// if GitHub has given the runner a job. It also returns nil for a repository that the
// credential cannot see any more, because GitHub answers 404 to both.
// https://docs.github.com/en/rest/actions/self-hosted-runners#delete-a-self-hosted-runner-from-a-repository
func (c *Client) RemoveRunner(ctx context.Context, s Scope, id int64) error {
	return c.removeRunner(ctx, s, id, housekeeping)
}

func (c *Client) removeRunner(ctx context.Context, s Scope, id int64, p priority) error {
	path, err := runnersPath(s)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, request{
		doing: fmt.Sprintf("removing runner %d from %s", id, s), scope: s,
		method: http.MethodDelete, path: fmt.Sprintf("%s/%d", path, id), priority: p, needs: runnerPermission(s),
		kinds: map[int]error{http.StatusNotFound: errGone, http.StatusUnprocessableEntity: ErrBusy},
	})
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// errGone means that what should be removed does not exist. It is distinct from ErrNotFound, so
// that a 404 for a missing installation of the App is not taken for success.
var errGone = errors.New("gone already")

// ForgetRunner removes the registration called name. It returns nil if there is none. It
// resolves an ErrConflict, so it has the priority of [Client.Register].
func (c *Client) ForgetRunner(ctx context.Context, s Scope, name string) error {
	r, found, err := c.runnerByName(ctx, s, name, urgent)
	if err != nil || !found {
		return err
	}
	return c.removeRunner(ctx, s, r.ID, urgent)
}

// A Token lets its bearer register or remove any number of runners until it expires. It never
// enters a container.
type Token struct {
	Value   secret.Secret
	Expires time.Time
}

// RegistrationToken returns a new token for config.sh, valid for an hour.
// https://docs.github.com/en/rest/actions/self-hosted-runners#create-a-registration-token-for-a-repository
func (c *Client) RegistrationToken(ctx context.Context, s Scope) (Token, error) {
	return c.token(ctx, s, "registration-token")
}

// RemoveToken returns a new token for config.sh remove, valid for an hour. It does not work for
// runners of [Client.Register].
func (c *Client) RemoveToken(ctx context.Context, s Scope) (Token, error) {
	return c.token(ctx, s, "remove-token")
}

func (c *Client) token(ctx context.Context, s Scope, what string) (Token, error) {
	path, err := runnersPath(s)
	if err != nil {
		return Token{}, err
	}
	var answer gh.RegistrationToken
	_, err = c.do(ctx, request{
		doing: "asking for a " + what + " of " + s.String(), scope: s,
		method: http.MethodPost, path: path + "/" + what, into: &answer, priority: housekeeping, needs: runnerPermission(s),
	})
	if err != nil {
		return Token{}, err
	}
	return Token{Value: secret.New(answer.GetToken()), Expires: answer.GetExpiresAt().Time}, nil
}

// RunnerEnd returns when GitHub stops to register runners of version, such as 2.336.0, at s or
// to give them jobs, whichever comes first. It returns zero if no date is set. The error is
// [ErrNotFound] where GitHub does not tell, as on an Enterprise Server.
// https://docs.github.com/en/rest/actions/self-hosted-runners#get-runner-version-end-of-life-schedule-for-a-repository
func (c *Client) RunnerEnd(ctx context.Context, s Scope, version string) (time.Time, error) {
	path, err := runnersPath(s)
	if err != nil {
		return time.Time{}, err
	}
	var answer struct {
		Registration *time.Time `json:"registration_deprecates_at"`
		Runtime      *time.Time `json:"runtime_deprecates_at"`
	}
	_, err = c.do(ctx, request{
		doing: fmt.Sprintf("asking until when runner %s is taken at %s", version, s), scope: s,
		method: http.MethodGet, path: path + "/deprecations/" + url.PathEscape(version), into: &answer,
		priority: housekeeping, needs: runnerPermission(s),
	})
	switch {
	case err != nil:
		return time.Time{}, err
	case answer.Registration == nil && answer.Runtime == nil:
		return time.Time{}, nil
	case answer.Registration == nil || answer.Runtime != nil && answer.Runtime.Before(*answer.Registration):
		return *answer.Runtime, nil
	}
	return *answer.Registration, nil
}
