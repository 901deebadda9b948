package build

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codecommit"
	"github.com/aws/aws-sdk-go-v2/service/codecommit/types"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
	"github.com/mayfly-ci/mayfly/internal/image/git"
)

// Branch is the one that builds are of.
const Branch = "main"

// A File is one of a source.
type File struct {
	Name       string // with slashes
	Body       []byte // 6 MB at most
	Executable bool
}

// A Repository is one of CodeCommit.
type Repository struct {
	Name string
	api  *codecommit.Client
}

// NewRepository returns the repository called name.
func NewRepository(c aws.Config, name string) *Repository {
	return &Repository{Name: name, api: codecommit.NewFromConfig(c)}
}

// Commit makes the branch hold files and nothing else, in one commit and without a git
// here. It returns where the branch is then, and whether there was anything to change. What
// somebody else has committed stays, unless over is set.
func (r *Repository) Commit(ctx context.Context, files []File, message string, over bool) (head Head, changed bool, err error) {
	for tries := 0; ; tries++ {
		head, err := r.Head(ctx)
		if err != nil || head.Commit != "" && head.By != own && !over {
			return head, false, err
		}
		there, err := r.tree(ctx, head.Commit)
		if err != nil {
			return Head{}, false, err
		}
		in := change(files, there)
		if len(in.PutFiles)+len(in.DeleteFiles) == 0 {
			return head, false, nil
		}
		in.RepositoryName, in.BranchName, in.CommitMessage = &r.Name, aws.String(Branch), &message
		in.AuthorName, in.Email = aws.String(own.Name), aws.String(own.Email)
		if head.Commit != "" {
			in.ParentCommitId = &head.Commit
		}
		made, err := r.api.CreateCommit(ctx, in)
		switch {
		case err == nil:
			return Head{aws.ToString(made.CommitId), aws.ToString(made.TreeId), own}, true, nil
		case refusal.Is(err, "ParentCommitIdOutdatedException", "ParentCommitIdRequiredException", "ConcurrentReferenceUpdateException") && tries < 3:
			continue // another commit came between
		}
		return Head{}, false, fmt.Errorf("committing to repository %s: %w", r.Name, err)
	}
}

// A Head is where the branch of a repository is.
type Head struct {
	Commit string
	Tree   string // what git calls its files
	By     Person // who committed it
}

// A Person is one as commits name them.
type Person struct{ Name, Email string }

// own is who we are in commits.
var own = Person{"mayfly", "mayfly@localhost"}

// Head returns where the branch is; a zero one for a repository without a commit on it.
func (r *Repository) Head(ctx context.Context) (Head, error) {
	branch, err := r.api.GetBranch(ctx, &codecommit.GetBranchInput{RepositoryName: &r.Name, BranchName: aws.String(Branch)})
	switch {
	case refusal.Is(err, "BranchDoesNotExistException"):
		return Head{}, nil
	case err != nil:
		return Head{}, fmt.Errorf("reading repository %s: %w", r.Name, err)
	}
	id := branch.Branch.CommitId
	out, err := r.api.GetCommit(ctx, &codecommit.GetCommitInput{RepositoryName: &r.Name, CommitId: id})
	if err != nil {
		return Head{}, fmt.Errorf("reading commit %s of repository %s: %w", aws.ToString(id), r.Name, err)
	}
	head := Head{Commit: aws.ToString(id), Tree: aws.ToString(out.Commit.TreeId)}
	if by := out.Commit.Committer; by != nil {
		head.By = Person{aws.ToString(by.Name), aws.ToString(by.Email)}
	}
	return head, nil
}

// tree reads the files of a commit.
func (r *Repository) tree(ctx context.Context, commit string) (map[string]git.File, error) {
	all := map[string]git.File{}
	folders := []string{"/"}
	for len(folders) > 0 && commit != "" {
		out, err := r.api.GetFolder(ctx, &codecommit.GetFolderInput{RepositoryName: &r.Name, CommitSpecifier: &commit, FolderPath: &folders[0]})
		if err != nil {
			return nil, fmt.Errorf("reading repository %s: %w", r.Name, err)
		}
		folders = folders[1:]
		for _, f := range out.Files {
			name := strings.TrimPrefix(aws.ToString(f.AbsolutePath), "/")
			all[name] = git.File{Blob: aws.ToString(f.BlobId), Executable: f.FileMode == types.FileModeTypeEnumExecutable}
		}
		for _, sub := range out.SubFolders {
			folders = append(folders, aws.ToString(sub.AbsolutePath))
		}
	}
	return all, nil
}

// change is what makes files of what is there.
func change(files []File, there map[string]git.File) *codecommit.CreateCommitInput {
	in := &codecommit.CreateCommitInput{}
	wanted := map[string]bool{}
	for _, f := range files {
		wanted[f.Name] = true
		if there[f.Name] == (git.File{Blob: git.Blob(f.Body), Executable: f.Executable}) {
			continue
		}
		mode := types.FileModeTypeEnumNormal
		if f.Executable {
			mode = types.FileModeTypeEnumExecutable
		}
		in.PutFiles = append(in.PutFiles, types.PutFileEntry{FilePath: aws.String(f.Name), FileContent: f.Body, FileMode: mode})
	}
	for name := range there {
		if !wanted[name] {
			in.DeleteFiles = append(in.DeleteFiles, types.DeleteFileEntry{FilePath: aws.String(name)})
		}
	}
	return in
}
