package githubsim

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/git"
)

// pathCodeload is where archives are, as on Enterprise Server; GitHub has them on a
// host of its own.
const pathCodeload = "/_codeload"

// archives are the formats that there are archives in, by the API's word for them.
var archives = map[string]struct{ format, service, contentType string }{
	"tarball": {git.TarGz, "legacy.tar.gz", "application/x-gzip"},
	"zipball": {git.Zip, "legacy.zip", "application/zip"},
}

// archiveRoutes are for what a repository holds as one file.
// https://docs.github.com/en/rest/repos/contents#download-a-repository-archive-tar
func (s *Sim) archiveRoutes() {
	for name, a := range archives {
		s.asReader("GET /repos/{owner}/{repo}/"+name+"/{ref...}", func(c call) reply { return s.archive(c, a.service) })
		s.mux.HandleFunc("GET "+pathCodeload+"/{owner}/{repo}/"+a.service+"/{ref...}", func(w http.ResponseWriter, r *http.Request) {
			s.codeload(w, r, a.format, a.contentType)
		})
	}
}

// archive redirects to the archive, by an address that is good for a few minutes. A
// client that follows it brings its token no further.
func (s *Sim) archive(c call, service string) reply {
	repo, ref := c.scope.repo, c.PathValue("ref")
	address := fmt.Sprintf("%s%s/%s/%s/%s", c.web, pathCodeload, repo.fullName(), service, ref)
	if repo.private {
		token, err := s.sign(jwt.MapClaims{"sub": "archive:" + repo.fullName()}, s.now().Add(5*time.Minute))
		if err != nil {
			return refusal(http.StatusInternalServerError, err.Error())
		}
		address += "?token=" + url.QueryEscape(token)
	}
	return reply{code: http.StatusFound, header: map[string]string{"Location": address}}
}

// codeload writes an archive, whose files are in one folder.
func (s *Sim) codeload(w http.ResponseWriter, r *http.Request, format, contentType string) {
	repo, err := s.find(r.PathValue("owner") + "/" + r.PathValue("repo"))
	if err != nil || repo.private && !s.mayArchive(repo, r.URL.Query().Get("token")) {
		http.NotFound(w, r)
		return
	}
	commit := s.commitOf(r.Context(), repo, r.PathValue("ref"))
	if commit == "" {
		http.NotFound(w, r)
		return
	}
	folder := strings.ReplaceAll(repo.fullName(), "/", "-") + "-" + commit[:7]
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", "attachment; filename="+folder+"."+format)
	if err := repo.git.Archive(r.Context(), w, format, folder, commit); err != nil {
		s.log.Warn("archive", "repository", repo.fullName(), "err", err)
		panic(http.ErrAbortHandler) // half an archive must not look like a whole one
	}
}

func (s *Sim) mayArchive(repo *repository, token string) bool {
	claims, err := s.signed(token)
	return err == nil && claims["sub"] == "archive:"+repo.fullName()
}

// commitOf returns the commit that a tag, a branch or a commit's id names, that of the
// default branch for "", and "" if it does not exist.
func (s *Sim) commitOf(ctx context.Context, repo *repository, ref string) string {
	if ref == "" {
		ref = "main"
	}
	for _, name := range []string{"refs/tags/" + ref, "refs/heads/" + ref, ref} {
		if head := s.head(repo, name); head.SHA != "" {
			return head.SHA
		}
	}
	return repo.git.CommitOf(ctx, ref)
}
