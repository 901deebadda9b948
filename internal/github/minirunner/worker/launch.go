package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// downloadInfo is where the launch service says that an action is
// (LaunchContracts.cs).
type downloadInfo struct {
	Name           string `json:"name"`
	ResolvedName   string `json:"resolved_name"`
	ResolvedSHA    string `json:"resolved_sha"`
	TarURL         string `json:"tar_url"`
	Version        string `json:"version"`
	Authentication *struct {
		Token string `json:"token"`
	} `json:"authentication"`
}

// check returns what an answer lacks.
func (d downloadInfo) check() error {
	for name, value := range map[string]string{"NameWithOwner": d.Name, "Ref": d.Version, "TarballUrl": d.TarURL} {
		if value == "" {
			return missing(name)
		}
	}
	return nil
}

// errUnresolvable wraps the launch service's word that an action cannot be had.
var errUnresolvable = errors.New("unresolvable")

// downloadTries is how often an action is tried to be resolved and downloaded.
const downloadTries = 3

// fetch has the launch service resolve the actions of tasks and downloads them.
func (j *job) fetch(ctx context.Context, s *step, tasks []*task) error {
	wanted := wantedActions(tasks)
	if len(wanted) == 0 {
		return nil
	}
	s.log("Getting action download info")
	infos, err := j.resolve(ctx, s, wanted)
	if err != nil {
		return err
	}
	for _, ref := range wanted {
		info, ok := infos[ref.key()]
		if !ok {
			return wire.Said("Missing download info for %s", ref.key())
		}
		if err := info.check(); err != nil {
			return err
		}
		if err := j.download(ctx, s, info); err != nil {
			return err
		}
	}
	return nil
}

// wantedActions are the repositories that tasks need, each once.
func wantedActions(tasks []*task) []reference {
	var wanted []reference
	seen := map[string]bool{}
	for _, t := range tasks {
		if ref := t.message.Reference; ref.remote() && !seen[ref.key()] {
			seen[ref.key()] = true
			wanted = append(wanted, ref)
		}
	}
	return wanted
}

// resolve asks the launch service up to three times.
func (j *job) resolve(ctx context.Context, s *step, wanted []reference) (map[string]downloadInfo, error) {
	for try := 1; ; try++ {
		infos, err := j.askLaunch(ctx, wanted)
		switch {
		case err == nil:
			return infos, nil
		case errors.Is(err, errUnresolvable):
			return nil, wire.Said("%s", strings.TrimPrefix(err.Error(), errUnresolvable.Error()+": "))
		case try == downloadTries || ctx.Err() != nil || wire.Status(err) == http.StatusTooManyRequests:
			return nil, wire.Said("Failed to resolve action download info.")
		}
		s.log("Failed to resolve action download info. Error: " + wire.Reason(err))
		if err := j.backOff(ctx, func(seconds float64) { s.log(fmt.Sprintf("Retrying in %v seconds", seconds)) }); err != nil {
			return nil, err
		}
	}
}

// backOff waits before another attempt, and says for how long.
func (j *job) backOff(ctx context.Context, say func(seconds float64)) error {
	pause := j.config.Pauses.Download.Pick()
	say(pause.Seconds())
	return wire.Sleep(ctx, pause)
}

// askLaunch makes one call. Its address is absolute: of the launch endpoint only
// the host counts (LaunchHttpClient.cs).
func (j *job) askLaunch(ctx context.Context, wanted []reference) (map[string]downloadInfo, error) {
	endpoint := j.message.Variables["system.github.launch_endpoint"].Value
	if endpoint == "" {
		return nil, wire.Said("Launch client is not initialized.")
	}
	path := fmt.Sprintf("/actions/build/%s/jobs/%s/runnerresolve/actions", j.message.Plan.PlanID, j.message.JobID)
	address, err := wire.Resolve(endpoint, path)
	if err != nil {
		return nil, err
	}
	type asked struct {
		Action  string `json:"action"`
		Version string `json:"version"`
		Path    string `json:"path,omitempty"`
	}
	list := []asked{}
	for _, ref := range wanted {
		list = append(list, asked{ref.Name, ref.Ref, ref.Path})
	}
	var answer struct {
		Actions map[string]downloadInfo `json:"actions"`
	}
	if err := j.caller.Post(ctx, address, map[string]any{"actions": list}, &answer); err != nil {
		return nil, j.unresolvable(err)
	}
	if answer.Actions == nil {
		return nil, missing("Actions")
	}
	return answer.Actions, nil
}

// unresolvable reads what a 422 says of each action. Without the variable the
// runner does not look.
func (j *job) unresolvable(err error) error {
	var answer *wire.StatusError
	if !errors.As(err, &answer) || answer.Status != http.StatusUnprocessableEntity ||
		!j.message.flag("actions_display_helpful_actions_download_errors") {
		return err
	}
	var body struct {
		Errors map[string]struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(answer.Body, &body) != nil || len(body.Errors) == 0 {
		return fmt.Errorf("%w: %s", errUnresolvable, http.StatusText(answer.Status))
	}
	var all []string
	for _, key := range sortedKeys(body.Errors) {
		all = append(all, body.Errors[key].Message)
	}
	return fmt.Errorf("%w: %s", errUnresolvable, strings.Join(all, ". "))
}
