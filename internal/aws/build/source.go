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
// here. It returns the branch's commit, and whether there was anything to change.
func (r *Repository) Commit(ctx context.Context, files []File, message string) (commit string, changed bool, err error) {
	for tries := 0; ; tries++ {
		head, err := r.head(ctx)
		if err != nil {
			return "", false, err
		}
		there, err := r.tree(ctx, head)
		if err != nil {
			return "", false, err
		}
		in := change(files, there)
		if len(in.PutFiles)+len(in.DeleteFiles) == 0 {
			return head, false, nil
		}
		in.RepositoryName, in.BranchName, in.CommitMessage = &r.Name, aws.String(Branch), &message
		in.AuthorName, in.Email = aws.String("mayfly"), aws.String("mayfly@localhost")
		if head != "" {
			in.ParentCommitId = &head
		}
		made, err := r.api.CreateCommit(ctx, in)
		switch {
		case err == nil:
			return aws.ToString(made.CommitId), true, nil
		case refusal.Is(err, "ParentCommitIdOutdatedException", "ParentCommitIdRequiredException", "ConcurrentReferenceUpdateException") && tries < 3:
			continue // another commit came between
		}
		return "", false, fmt.Errorf("committing to repository %s: %w", r.Name, err)
	}
}

// head returns the branch's commit; "" for a repository without one.
func (r *Repository) head(ctx context.Context) (string, error) {
	out, err := r.api.GetBranch(ctx, &codecommit.GetBranchInput{RepositoryName: &r.Name, BranchName: aws.String(Branch)})
	switch {
	case refusal.Is(err, "BranchDoesNotExistException"):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading repository %s: %w", r.Name, err)
	}
	return aws.ToString(out.Branch.CommitId), nil
}

// A Head is where the branch of a repository is.
type Head struct {
	Commit string
	Tree   string // what git calls its files
}

// Head returns where the branch is; a zero one for a repository without a commit on it.
func (r *Repository) Head(ctx context.Context) (Head, error) {
	commit, err := r.head(ctx)
	if commit == "" || err != nil {
		return Head{}, err
	}
	out, err := r.api.GetCommit(ctx, &codecommit.GetCommitInput{RepositoryName: &r.Name, CommitId: &commit})
	if err != nil {
		return Head{}, fmt.Errorf("reading commit %s of repository %s: %w", commit, r.Name, err)
	}
	return Head{commit, aws.ToString(out.Commit.TreeId)}, nil
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
