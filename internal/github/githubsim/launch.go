package githubsim

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// pathLaunch is the address of the launch service as runners are told it. They drop
// its path: what they ask is below /actions of its host.
const pathLaunch = "/_runner/launch"

// downloadLife is how long what the launch service gives to download actions is good.
const downloadLife = time.Hour

// launchRoutes are what a runner calls to learn where the actions of a job are.
// https://github.com/actions/runner/blob/main/src/Sdk/WebApi/WebApi/LaunchHttpClient.cs
func (s *Sim) launchRoutes() {
	s.mux.HandleFunc("POST /actions/build/{plan}/jobs/{job}/runnerresolve/actions", s.resolveActions)
}

// An actionQuery is an action that a runner asks for.
type actionQuery struct {
	Action  string `json:"action"`  // owner/name
	Version string `json:"version"` // a tag, a branch or the id of a commit
	Path    string `json:"path"`    // inside the repository; it does not matter here
}

func (q actionQuery) String() string { return q.Action + "@" + q.Version }

// An actionError is the reason why an action cannot be resolved, in GitHub's words.
type actionError struct {
	query actionQuery
	why   string
}

func (e actionError) Error() string {
	return fmt.Sprintf("Unable to resolve action `%s`, %s", e.query, e.why)
}

// resolveActions answers with all actions, or with an error for each that cannot be resolved.
func (s *Sim) resolveActions(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Actions []actionQuery `json:"actions"`
	}
	var j *job
	rep := s.locked(func() reply {
		c := call{Request: r}
		j = s.accessJob(r)
		switch {
		case j == nil:
			return refusal(http.StatusUnauthorized, "Bad credentials")
		case c.PathValue("plan") != j.planID() || c.PathValue("job") != j.guid:
			return notFound()
		case !c.decode(&in) || len(in.Actions) == 0:
			return badJSON()
		}
		return ok(nil)
	})
	if rep.code == http.StatusOK {
		rep = s.resolved(r, j, in.Actions)
	}
	writeReply(w, rep)
}

func (s *Sim) resolved(r *http.Request, j *job, queries []actionQuery) reply {
	found, missing := object{}, object{}
	for _, q := range queries {
		info, err := s.resolveAction(r, j, q)
		if err != nil {
			missing[q.String()] = object{"message": err.Error()}
			continue
		}
		found[q.String()] = info
	}
	if len(missing) > 0 {
		return reply{code: http.StatusUnprocessableEntity, body: object{"errors": missing}}
	}
	return ok(object{"actions": found})
}

// resolveAction gives what there is to download of one action for j.
func (s *Sim) resolveAction(r *http.Request, j *job, q actionQuery) (object, error) {
	s.mu.Lock()
	repo := s.repository(q.Action)
	visible := repo != nil && (!repo.private || repo == j.run.repo)
	s.mu.Unlock()
	if !visible {
		return nil, actionError{q, "repository not found"}
	}
	sha, err := s.versionOf(r.Context(), repo, q)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	expires := s.now().Add(downloadLife)
	token, err := s.installationToken(actionsApp, repo.owner, expires)
	if err != nil {
		return nil, err
	}
	s.creds[digestOf(token)] = &credential{reads: repo, expires: expires}
	base := s.base(r) + "/api/v3/repos/" + repo.fullName()
	return object{
		"name": q.Action, "resolved_name": repo.fullName(), "resolved_sha": sha, "version": q.Version,
		"tar_url": base + "/tarball/" + sha, "zip_url": base + "/zipball/" + sha,
		"authentication": object{"token": token, "expires_at": timestamp(expires)},
	}, nil
}

// shortCommit is what looks like the beginning of a commit's id.
var shortCommit = regexp.MustCompile(`^[0-9a-f]{7,39}$`)

// versionOf returns the commit that a version of an action names: a tag goes before a
// branch, and a commit is named by its whole id only.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsuses
func (s *Sim) versionOf(ctx context.Context, repo *repository, q actionQuery) (string, error) {
	for _, ref := range []string{"refs/tags/", "refs/heads/"} {
		if head := s.head(repo, ref+q.Version); head.SHA != "" {
			return head.SHA, nil
		}
	}
	whole := repo.git.CommitOf(ctx, q.Version)
	switch {
	case whole != "" && whole == q.Version:
		return whole, nil
	case whole != "" && shortCommit.MatchString(q.Version):
		return "", actionError{q, fmt.Sprintf("the provided ref `%s` is the shortened version of a commit SHA, which is not supported. "+
			"Please use the full commit SHA `%s` instead.", q.Version, whole)}
	}
	return "", actionError{q, "unable to find version `" + q.Version + "`"}
}

// A Tag is what AddTag makes.
type Tag struct {
	Repository string // owner/name
	Name       string // such as v4; one that is there moves
	Branch     string // at whose newest commit it is; default main
}

// AddTag puts a tag at a branch, as a push of it does. It starts no workflow.
func (s *Sim) AddTag(t Tag) error {
	setDefault(&t.Branch, "main")
	repo, err := s.find(t.Repository)
	if err != nil {
		return err
	}
	repo.lock.Lock()
	defer repo.lock.Unlock()
	head := s.head(repo, "refs/heads/"+t.Branch)
	if head.SHA == "" || strings.TrimSpace(t.Name) == "" {
		return fmt.Errorf("tag %q of %s: want a name, and a branch that is there; %q is none", t.Name, t.Repository, t.Branch)
	}
	if err := repo.git.SetRef("refs/tags/"+t.Name, head.SHA); err != nil {
		return fmt.Errorf("tag of %s: %w", t.Repository, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	repo.heads["refs/tags/"+t.Name] = head
	return nil
}
