package awstest

import (
	"crypto/sha1" // as git does
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/mayfly-ci/mayfly/internal/image/git"
)

// CodeCommit stands in for CodeCommit, which moto has no commits of: repositories with
// one branch each. It refuses what CodeCommit refuses.
// https://docs.aws.amazon.com/codecommit/latest/APIReference/API_CreateCommit.html
type CodeCommit struct {
	mu    sync.Mutex
	repos map[string][]commit // guarded by mu; by name, the oldest first
}

type commit struct {
	id    string
	by    person
	files map[string]gitFile
}

type person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

type gitFile struct{ blob, mode string }

// Handler answers for the service.
func (c *CodeCommit) Handler() http.Handler {
	return operations{
		"GetRepository": exactly(c.get), "GetBranch": exactly(c.branch), "GetCommit": exactly(c.read), "GetFolder": exactly(c.folder), "CreateCommit": exactly(c.commit),
	}
}

// SetRepository makes an empty one, unless there is one, or removes it, as CloudFormation
// does.
func (c *CodeCommit) SetRepository(name string, there bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.repos == nil {
		c.repos = map[string][]commit{}
	}
	if _, ok := c.repos[name]; !ok && there {
		c.repos[name] = nil
	}
	if !there {
		delete(c.repos, name)
	}
}

// Files returns the names of the files that the branch of a repository has, and how
// many commits it has had.
func (c *CodeCommit) Files(name string) (files []string, commits int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if commits = len(c.repos[name]); commits > 0 {
		files = slices.Sorted(maps.Keys(c.repos[name][commits-1].files))
	}
	return files, commits
}

// Push is Mary Major's push of one changed file; it returns the commit.
func (c *CodeCommit) Push(name, file, content string) (id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	files := map[string]gitFile{}
	if commits := c.repos[name]; len(commits) > 0 {
		maps.Copy(files, commits[len(commits)-1].files)
	}
	files[file] = gitFile{git.Blob([]byte(content)), "NORMAL"}
	return c.add(name, commit{by: person{"Mary Major", "mary@example.com"}, files: files}).id
}

// add puts a commit on the branch of a repository. The caller holds mu.
func (c *CodeCommit) add(repository string, one commit) commit {
	one.id = fmt.Sprintf("%x", sha1.Sum(fmt.Append(nil, repository, len(c.repos[repository]), one.files)))
	c.repos[repository] = append(c.repos[repository], one)
	return one
}

// head returns the newest commit. The caller holds mu.
func (c *CodeCommit) head(repository string) (commit, error) {
	commits, ok := c.repos[repository]
	switch {
	case !ok:
		return commit{}, refused{"RepositoryDoesNotExistException", repository}
	case len(commits) == 0:
		return commit{}, refused{"BranchDoesNotExistException", "main"}
	}
	return commits[len(commits)-1], nil
}

type repositoryInput struct {
	Name string `json:"repositoryName"`
}

func (c *CodeCommit) get(in repositoryInput) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.repos[in.Name]; !ok {
		return nil, refused{"RepositoryDoesNotExistException", in.Name}
	}
	return map[string]any{"repositoryMetadata": map[string]string{"repositoryName": in.Name}}, nil
}

type branchInput struct {
	Repository string `json:"repositoryName"`
	Branch     string `json:"branchName"`
}

func (c *CodeCommit) branch(in branchInput) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, err := c.head(in.Repository)
	if err != nil {
		return nil, err
	}
	return map[string]any{"branch": map[string]string{"branchName": in.Branch, "commitId": head.id}}, nil
}

type readInput struct {
	Repository string `json:"repositoryName"`
	Commit     string `json:"commitId"`
}

func (c *CodeCommit) read(in readInput) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	commits, ok := c.repos[in.Repository]
	if !ok {
		return nil, refused{"RepositoryDoesNotExistException", in.Repository}
	}
	for _, one := range commits {
		if one.id == in.Commit {
			return map[string]any{"commit": map[string]any{"commitId": one.id, "treeId": one.tree(), "author": one.by, "committer": one.by}}, nil
		}
	}
	return nil, refused{"CommitIdDoesNotExistException", in.Commit}
}

// tree is what git calls the files of a commit.
func (c commit) tree() string {
	files := map[string]git.File{}
	for name, f := range c.files {
		files[name] = git.File{Blob: f.blob, Executable: f.mode == "EXECUTABLE"}
	}
	return git.Tree(files)
}

type folderInput struct {
	Repository string `json:"repositoryName"`
	Commit     string `json:"commitSpecifier"`
	Folder     string `json:"folderPath"`
}

func (c *CodeCommit) folder(in folderInput) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, err := c.head(in.Repository)
	if err != nil {
		return nil, err
	}
	if head.id != in.Commit {
		return nil, refused{"CommitDoesNotExistException", in.Commit}
	}
	at := strings.Trim(in.Folder, "/")
	files, folders := []map[string]string{}, map[string]bool{}
	for name, f := range head.files {
		rest, inside := strings.CutPrefix("/"+name, strings.TrimSuffix("/"+at, "/")+"/")
		first, _, deeper := strings.Cut(rest, "/")
		switch {
		case inside && deeper:
			folders[path.Join(at, first)] = true
		case inside:
			files = append(files, map[string]string{"absolutePath": name, "relativePath": rest, "blobId": f.blob, "fileMode": f.mode})
		}
	}
	subs := []map[string]string{}
	for name := range folders {
		subs = append(subs, map[string]string{"absolutePath": name, "relativePath": path.Base(name)})
	}
	return map[string]any{"commitId": head.id, "folderPath": at, "files": files, "subFolders": subs}, nil
}

type commitInput struct {
	Repository string `json:"repositoryName"`
	Branch     string `json:"branchName"`
	Parent     string `json:"parentCommitId"`
	Author     string `json:"authorName"`
	Email      string `json:"email"`
	Message    string `json:"commitMessage"`
	Put        []struct {
		Path string `json:"filePath"`
		Body []byte `json:"fileContent"`
		Mode string `json:"fileMode"`
	} `json:"putFiles"`
	Delete []struct {
		Path string `json:"filePath"`
	} `json:"deleteFiles"`
}

func (c *CodeCommit) commit(in commitInput) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, err := c.head(in.Repository)
	if no, ok := err.(refused); ok && no.code != "BranchDoesNotExistException" {
		return nil, err
	}
	switch {
	case head.id != "" && in.Parent == "":
		return nil, refused{"ParentCommitIdRequiredException", head.id}
	case head.id != in.Parent:
		return nil, refused{"ParentCommitIdOutdatedException", in.Parent}
	case len(in.Put)+len(in.Delete) == 0:
		return nil, refused{"FileEntryRequiredException", "want at least one"}
	case len(in.Put)+len(in.Delete) > 100:
		return nil, refused{"MaximumFileEntriesExceededException", "want 100 at most"}
	}
	files, err := in.apply(maps.Clone(head.files))
	if err != nil {
		return nil, err
	}
	made := c.add(in.Repository, commit{by: person{in.Author, in.Email}, files: files})
	return map[string]any{"commitId": made.id, "treeId": made.tree()}, nil
}

// apply changes files.
func (in commitInput) apply(files map[string]gitFile) (map[string]gitFile, error) {
	if files == nil {
		files = map[string]gitFile{}
	}
	for _, p := range in.Put {
		f := gitFile{git.Blob(p.Body), p.Mode}
		switch {
		case len(p.Body) > 6<<20:
			return nil, refused{"FileContentSizeLimitExceededException", p.Path}
		case strings.HasPrefix(p.Path, "/"):
			return nil, refused{"InvalidPathException", p.Path}
		case files[p.Path] == f:
			return nil, refused{"SameFileContentException", p.Path}
		}
		files[p.Path] = f
	}
	for _, d := range in.Delete {
		if _, ok := files[d.Path]; !ok {
			return nil, refused{"FileDoesNotExistException", d.Path}
		}
		delete(files, d.Path)
	}
	return files, nil
}
