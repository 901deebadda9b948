package githubsim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/git"
	"github.com/mayfly-ci/mayfly/internal/github/workflow"
)

// A Repository is what CreateRepository makes.
type Repository struct {
	Name      string // owner/name; the owner is made if it is not there
	Private   bool
	Protected []string          // environments whose jobs wait for Approve
	Variables map[string]string // the context vars
	Secrets   map[string]string // the context secrets, which runners get; for tests only, so in the clear
}

// CreateRepository makes an empty repository, and its owner.
func (s *Sim) CreateRepository(r Repository) error {
	owner, name, found := strings.Cut(r.Name, "/")
	if !found || owner == "" || name == "" {
		return fmt.Errorf("repository %q: want owner/name", r.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repository(r.Name) != nil {
		return fmt.Errorf("repository %q exists", r.Name)
	}
	bare, err := git.Init(s.cfg.Dir, r.Name)
	if err != nil {
		return fmt.Errorf("repository %q: %w", r.Name, err)
	}
	repo := &repository{
		id: s.nextID(), owner: s.account(owner), name: name, private: r.Private, created: s.now(), pushed: s.now(),
		environments: map[string]*environment{}, variables: map[string]string{}, secrets: map[string]string{}, due: map[string]time.Time{},
		numbers: map[string]int{}, workflows: map[string]int64{}, heads: map[string]git.Commit{}, loose: map[string]git.Commit{}, git: bare,
	}
	for name, value := range r.Variables {
		repo.variables[strings.ToUpper(name)] = value
	}
	for name, value := range r.Secrets {
		repo.secrets[strings.ToUpper(name)] = value
	}
	for _, name := range r.Protected {
		s.environment(repo, name).reviewed = true
	}
	s.repos[strings.ToLower(r.Name)] = repo
	delete(s.moves, strings.ToLower(r.Name)) // a new one takes the name of one that moved
	return nil
}

// A Push is a commit to a branch.
type Push struct {
	Repository string            // owner/name
	Branch     string            // default main
	Message    string            // default "push"
	Files      map[string]string // the whole content, by path
}

// Push commits files and starts the workflows that a push to the branch starts.
// It returns their runs; those of files with faults have ended already.
func (s *Sim) Push(p Push) ([]Run, error) {
	setDefault(&p.Branch, "main")
	setDefault(&p.Message, "push")
	repo, err := s.find(p.Repository)
	if err != nil {
		return nil, err
	}
	repo.lock.Lock()
	defer repo.lock.Unlock()
	ref := "refs/heads/" + p.Branch
	before := s.head(repo, ref)
	after, err := repo.git.Commit(p.Branch, before.SHA, git.Commit{
		Message: p.Message, Author: sender, Email: sender + "@users.noreply.github.com", Time: s.now(), Files: p.Files,
	})
	if err != nil {
		return nil, fmt.Errorf("push to %s: %w", p.Repository, err)
	}
	return s.pushed(repo, ref, before, after, changed(before.Files, after.Files)), nil
}

// changed gives the paths whose content differs, in order.
func changed(before, after map[string]string) []string {
	var paths []string
	for p, text := range after {
		if was, there := before[p]; !there || was != text {
			paths = append(paths, p)
		}
	}
	for p := range before {
		if _, there := after[p]; !there {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

func (s *Sim) find(fullName string) (*repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo := s.repository(fullName); repo != nil {
		return repo, nil
	}
	return nil, fmt.Errorf("repository %q: there is none of that name", fullName)
}

func (s *Sim) head(repo *repository, ref string) git.Commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return repo.heads[ref]
}

// noCommit stands where a ref is new or deleted.
const noCommit = "0000000000000000000000000000000000000000"

// pushed records that ref moved, delivers the push and starts workflows. The
// caller holds repo.lock.
func (s *Sim) pushed(repo *repository, ref string, before, after git.Commit, paths []string) []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo.heads[ref], repo.pushed = after, s.now()
	web := s.publicURL()
	payload := s.payload(web, repo, "")
	maps.Copy(payload, pushShape(web, repo, ref, before, after, paths))
	s.publish(repo, "push", "", payload)
	var runs []Run
	t := trigger{event: "push", ref: ref, commit: after, payload: plainJSON(payload)}
	for _, f := range readWorkflows(after.Files) {
		// GitHub reports a broken file whatever it would have been started by
		if f.file == nil || f.file.Pushed(ref, paths) {
			runs = append(runs, s.startRun(repo, f, t).Run)
		}
	}
	return runs
}

func pushShape(web string, repo *repository, ref string, before, after git.Commit, paths []string) object {
	first := before.SHA
	if first == "" {
		first = noCommit
	}
	commit := commitShape(after)
	commit["url"], commit["distinct"] = web+"/"+repo.fullName()+"/commit/"+after.SHA, true
	commit["added"], commit["removed"], commit["modified"] = []string{}, []string{}, append([]string{}, paths...)
	return object{
		"repository": repo.pushShape(web), "ref": ref, "before": first, "after": after.SHA, "created": first == noCommit, "deleted": false, "forced": false, "base_ref": nil,
		"compare": web + "/" + repo.fullName() + "/compare/" + first[:12] + "..." + after.SHA[:12],
		"commits": []object{commit}, "head_commit": commit, "pusher": object{"name": sender, "email": after.Email},
	}
}

// pushShape gives a repository as payloads of push have it: times are numbers.
func (r *repository) pushShape(web string) object {
	owner := merged(r.owner.shape(web), object{"name": r.owner.login, "email": r.owner.login + "@users.noreply.github.com"})
	out := merged(r.shape(web), object{
		"owner": owner, "created_at": r.created.Unix(), "pushed_at": r.pushed.Unix(), "stargazers": 0, "master_branch": "main",
	})
	if !r.owner.user {
		out["organization"] = r.owner.login
	}
	return out
}

// plainJSON returns o as its receiver decodes it: objects, lists, strings and numbers.
func plainJSON(o object) object {
	var out object
	data, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		panic(err) // o was made of nothing else
	}
	return out
}

type workflowFile struct {
	path   string
	file   *workflow.Workflow // nil with faults
	faults []workflow.Fault
}

// readWorkflows reads the workflow files among files, in order of their names.
func readWorkflows(files map[string]string) []workflowFile {
	var out []workflowFile
	for _, path := range sortedKeys(files) {
		if workflow.IsFile(path) {
			file, faults := workflow.Parse(path, []byte(files[path]))
			out = append(out, workflowFile{path, file, faults})
		}
	}
	return out
}

// gitPath gives the repository that a path of git's smart HTTP is about, and what is
// asked of it. Git adds no .git to an address, and actions/checkout has none in it.
func gitPath(path string) (fullName, service string, isGit bool) {
	parts := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 3)
	if len(parts) < 3 || parts[2] != "info/refs" && parts[2] != "git-upload-pack" && parts[2] != "git-receive-pack" {
		return "", "", false
	}
	return parts[0] + "/" + strings.TrimSuffix(parts[1], ".git"), parts[2], true
}

// serveGit answers git: reading for who may see the repository, pushing for who
// has a token of the REST API.
func (s *Sim) serveGit(w http.ResponseWriter, r *http.Request, fullName, service string) {
	pushes := service == "git-receive-pack" || r.URL.Query().Get("service") == "git-receive-pack"
	repo, may := s.mayGit(r, fullName, pushes)
	switch {
	case !may:
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		http.Error(w, "authentication required", http.StatusUnauthorized)
		return
	case repo == nil:
		http.NotFound(w, r)
		return
	case !pushes || r.Method != http.MethodPost:
		s.gitError(repo.git.Serve(w, r, service, pushes))
		return
	}
	repo.lock.Lock()
	defer repo.lock.Unlock()
	s.gitError(repo.git.Serve(w, r, service, true))
	if err := s.afterPush(r.Context(), repo); err != nil {
		s.log.Error("reading what was pushed", "repository", fullName, "err", err)
	}
}

func (s *Sim) gitError(err error) {
	if err != nil {
		s.log.Warn("git", "err", err)
	}
}

// mayGit returns the repository, nil if there is none, and whether r may do what
// it asks for.
func (s *Sim) mayGit(r *http.Request, fullName string, push bool) (*repository, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo, cred := s.repository(fullName), s.credential(r)
	if repo == nil { // git follows a repository that moved, as everything does
		repo = s.moves[strings.ToLower(fullName)]
	}
	switch {
	case cred == nil && bearer(r) != "": // GitHub refuses a wrong token also where it needs none
		return repo, false
	case repo == nil:
		return nil, cred != nil
	case push:
		return repo, cred != nil && cred.sees(scope{repo: repo})
	}
	return repo, cred.mayRead(repo)
}

// afterPush compares the refs with those known before, and acts on each that is
// new or has moved. The caller holds repo.lock.
func (s *Sim) afterPush(ctx context.Context, repo *repository) error {
	ctx = context.WithoutCancel(ctx) // the push is in, whether or not its client waits
	refs, err := repo.git.Refs(ctx)
	if err != nil {
		return err
	}
	for _, ref := range sortedKeys(refs) {
		before := s.head(repo, ref)
		if before.SHA == refs[ref] {
			continue
		}
		after, err := repo.git.Read(ctx, refs[ref], workflow.IsFile)
		if err != nil {
			return err
		}
		paths, err := repo.git.Changed(ctx, before.SHA, after.SHA)
		if err != nil {
			return err
		}
		s.pushed(repo, ref, before, after, paths)
	}
	s.forgetDeleted(repo, refs)
	return nil
}

// forgetDeleted drops the heads of refs that are gone.
func (s *Sim) forgetDeleted(repo *repository, refs map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref := range repo.heads {
		if _, there := refs[ref]; !there {
			delete(repo.heads, ref)
		}
	}
}
