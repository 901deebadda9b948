package githubsim

import (
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/git"
)

// gitRoutes are the part of the Git database's API that makes a branch without git.
// https://docs.github.com/en/rest/git
func (s *Sim) gitRoutes() {
	const base = "/repos/{owner}/{repo}/git/"
	s.asScope("POST "+base+"trees", s.createTree)
	s.asScope("POST "+base+"commits", s.createCommit)
	s.asScope("GET "+base+"ref/{ref...}", s.getRef)
	s.mux.HandleFunc("POST "+base+"refs", s.createRef)
	s.mux.HandleFunc("DELETE "+base+"refs/{ref...}", s.deleteRef)
}

// emptyRepository is the answer of the whole API to a repository without a commit.
func emptyRepository() reply { return refusal(http.StatusConflict, "Git Repository is empty.") }

// A treeEntry is a file of a tree to be made. Only new files with their content are
// taken: no tree to begin from, no blobs made before.
type treeEntry struct {
	Path, Mode, Type, SHA string
	Content               *string
}

func (s *Sim) createTree(c call) reply {
	var in struct {
		Tree []treeEntry `json:"tree"`
		Base string      `json:"base_tree"`
	}
	if !c.decode(&in) {
		return badJSON()
	}
	repo, files := c.scope.repo, map[string]string{}
	for _, e := range in.Tree {
		if e.Mode != "100644" || e.Content == nil || e.Path == "" || path.Clean("/"+e.Path) != "/"+e.Path {
			return unprocessable("tree: want paths with mode 100644 and content")
		}
		files[e.Path] = *e.Content
	}
	switch {
	case len(repo.heads) == 0:
		return emptyRepository()
	case in.Base != "" || len(files) == 0:
		return unprocessable("Invalid tree info")
	}
	tree, err := repo.git.Tree(files)
	if err != nil {
		return unprocessable(err.Error())
	}
	repo.loose[tree] = git.Commit{Tree: tree, Files: files}
	entries := []object{}
	for _, name := range sortedKeys(files) {
		entries = append(entries, object{"path": name, "mode": "100644", "type": "blob", "sha": git.BlobID(files[name]), "size": len(files[name])})
	}
	return created(object{"sha": tree, "url": c.api() + "/repos/" + repo.fullName() + "/git/trees/" + tree, "truncated": false, "tree": entries})
}

func (s *Sim) createCommit(c call) reply {
	var in struct {
		Message, Tree string
		Parents       []string
	}
	if !c.decode(&in) {
		return badJSON()
	}
	repo := c.scope.repo
	tree, found := repo.loose[in.Tree]
	switch {
	case len(repo.heads) == 0:
		return emptyRepository()
	case !found || in.Message == "" || len(in.Parents) > 1:
		return unprocessable("Tree SHA does not exist")
	}
	parent := strings.Join(in.Parents, "")
	commit, err := repo.git.Store(parent, git.Commit{Message: in.Message, Author: sender, Email: sender + "@users.noreply.github.com", Time: s.now(), Files: tree.Files})
	if err != nil {
		return unprocessable(err.Error())
	}
	repo.loose[commit.SHA] = commit
	return created(gitCommitShape(c, repo, commit, parent))
}

func gitCommitShape(c call, repo *repository, commit git.Commit, parent string) object {
	url := func(kind, sha string) string {
		return c.api() + "/repos/" + repo.fullName() + "/git/" + kind + "/" + sha
	}
	who := object{"name": commit.Author, "email": commit.Email, "date": timestamp(commit.Time)}
	page := c.web + "/" + repo.fullName() + "/commit/"
	parents := []object{}
	if parent != "" {
		parents = append(parents, object{"sha": parent, "url": url("commits", parent), "html_url": page + parent})
	}
	return object{
		"sha": commit.SHA, "node_id": nodeID("C", repo.id), "url": url("commits", commit.SHA), "html_url": page + commit.SHA,
		"author": who, "committer": who, "message": commit.Message, "parents": parents,
		"tree":         object{"sha": commit.Tree, "url": url("trees", commit.Tree)},
		"verification": object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
	}
}

func (s *Sim) getRef(c call) reply {
	ref := "refs/" + c.PathValue("ref")
	head, found := c.scope.repo.heads[ref]
	if !found {
		return notFound()
	}
	return ok(refShape(c, c.scope.repo, ref, head.SHA))
}

func refShape(c call, repo *repository, ref, sha string) object {
	base := c.api() + "/repos/" + repo.fullName() + "/git/"
	return object{
		"ref": ref, "node_id": nodeID("REF", repo.id), "url": base + ref,
		"object": object{"type": "commit", "sha": sha, "url": base + "commits/" + sha},
	}
}

// branchRef is the form of a ref, at most maxRef bytes long; git allows more. The length is not part
// of the expression, because a counted repetition is compiled to as many copies.
var branchRef = regexp.MustCompile(`^refs/heads/[A-Za-z0-9][A-Za-z0-9._/-]*$`)

const maxRef = 212

// createRef creates a branch, which counts as a push.
func (s *Sim) createRef(w http.ResponseWriter, r *http.Request) {
	var in struct{ Ref, SHA string }
	var commit git.Commit
	repo, rep := s.changingRefs(w, r, func(c call) reply {
		if !c.decode(&in) {
			return badJSON()
		}
		repo, found := c.scope.repo, false
		commit, found = repo.loose[in.SHA]
		_, taken := repo.heads[in.Ref]
		switch {
		case len(repo.heads) == 0:
			return emptyRepository()
		case len(in.Ref) > maxRef || !branchRef.MatchString(in.Ref) || strings.Contains(in.Ref, ".."):
			return unprocessable("Reference name is not valid")
		case taken:
			return unprocessable("Reference already exists")
		case !found || commit.SHA == "":
			return unprocessable("Object does not exist")
		}
		return created(refShape(c, repo, in.Ref, in.SHA))
	})
	if repo != nil {
		defer repo.lock.Unlock()
	}
	if rep.code == http.StatusCreated {
		if err := repo.git.SetRef(in.Ref, in.SHA); err != nil {
			rep = unprocessable(err.Error())
		} else {
			s.pushed(repo, in.Ref, git.Commit{}, commit, sortedKeys(commit.Files))
		}
	}
	writeReply(w, rep)
}

func (s *Sim) deleteRef(w http.ResponseWriter, r *http.Request) {
	ref := "refs/" + r.PathValue("ref")
	repo, rep := s.changingRefs(w, r, func(c call) reply {
		if _, found := c.scope.repo.heads[ref]; !found {
			return unprocessable("Reference does not exist")
		}
		return noContent()
	})
	if repo != nil {
		defer repo.lock.Unlock()
	}
	if rep.code == http.StatusNoContent {
		if err := repo.git.RemoveRef(ref); err != nil {
			rep = unprocessable(err.Error())
		} else {
			s.forget(repo, ref)
		}
	}
	writeReply(w, rep)
}

// changingRefs asks h under mu about the repository that r names, whose lock it takes
// before and leaves to the caller; nil when there is none.
func (s *Sim) changingRefs(w http.ResponseWriter, r *http.Request, h handler) (*repository, reply) {
	repo, err := s.find(r.PathValue("owner") + "/" + r.PathValue("repo"))
	if err == nil {
		repo.lock.Lock()
	}
	return repo, s.locked(func() reply {
		cred := s.credential(r)
		if cred == nil {
			return unauthorized(r)
		}
		return s.limited(w, call{Request: r, web: s.base(r), cred: cred}, s.inScope(h))
	})
}

// forget drops the head of a ref that is gone.
func (s *Sim) forget(repo *repository, ref string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(repo.heads, ref)
}
