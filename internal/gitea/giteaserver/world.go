package giteaserver

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Call makes a call of the API as the administrator, and reads the answer into into unless that is nil.
func (s *Server) Call(ctx context.Context, method, path string, body, into any) error {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+"/api/v1/"+path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "token "+s.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, res.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// CreateOrganization makes one.
func (s *Server) CreateOrganization(ctx context.Context, name string) error {
	return s.Call(ctx, http.MethodPost, "orgs", map[string]any{"username": name, "visibility": "private"}, nil)
}

// CreateRepository makes an empty repository owner/name of an organization.
func (s *Server) CreateRepository(ctx context.Context, repository string) error {
	owner, name, _ := strings.Cut(repository, "/")
	return s.Call(ctx, http.MethodPost, "orgs/"+owner+"/repos", map[string]any{"name": name, "default_branch": "main"}, nil)
}

// Push makes a commit with new files on main, as git push does, and returns its id. Files that are
// there are replaced.
func (s *Server) Push(ctx context.Context, repository, message string, files map[string]string) (sha string, err error) {
	var changes []map[string]string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		change := map[string]string{"operation": "create", "path": path, "content": base64.StdEncoding.EncodeToString([]byte(files[path]))}
		var there struct{ SHA string }
		if s.Call(ctx, http.MethodGet, "repos/"+repository+"/contents/"+path, nil, &there) == nil {
			change["operation"], change["sha"] = "update", there.SHA
		}
		changes = append(changes, change)
	}
	var answer struct{ Commit struct{ SHA string } }
	err = s.Call(ctx, http.MethodPost, "repos/"+repository+"/contents", map[string]any{"files": changes, "message": message, "branch": "main"}, &answer)
	return answer.Commit.SHA, err
}

// A Run is one run of a workflow.
type Run struct {
	ID         int64
	Number     int64  `json:"run_number"`
	Attempt    int64  `json:"run_attempt"`
	SHA        string `json:"head_sha"`
	Status     string // completed, at last
	Conclusion string
	URL        string `json:"html_url"`
}

// A Job is one of a run.
type Job struct {
	ID         int64
	Name       string
	Status     string
	Conclusion string
	Attempt    int64  `json:"run_attempt"`
	RunnerID   int64  `json:"runner_id"`
	RunnerName string `json:"runner_name"`
	Labels     []string
	Started    time.Time `json:"started_at"`
	Completed  time.Time `json:"completed_at"`
}

// Runs returns the runs of a repository for a commit; "" for all.
func (s *Server) Runs(ctx context.Context, repository, sha string) ([]Run, error) {
	var page struct {
		Runs []Run `json:"workflow_runs"`
	}
	err := s.Call(ctx, http.MethodGet, "repos/"+repository+"/actions/runs?limit=50&head_sha="+sha, nil, &page)
	return page.Runs, err
}

// Jobs returns the jobs of a run, as they stand in its latest attempt.
func (s *Server) Jobs(ctx context.Context, repository string, run int64) ([]Job, error) {
	var page struct{ Jobs []Job }
	err := s.Call(ctx, http.MethodGet, fmt.Sprintf("repos/%s/actions/runs/%d/jobs?limit=50", repository, run), nil, &page)
	return page.Jobs, err
}

// Rerun runs all jobs of a run again.
func (s *Server) Rerun(ctx context.Context, repository string, run int64) error {
	return s.Call(ctx, http.MethodPost, fmt.Sprintf("repos/%s/actions/runs/%d/rerun", repository, run), nil, nil)
}

// RunnerCount returns how many runners are registered at a place, such as orgs/acme or repos/acme/web.
func (s *Server) RunnerCount(ctx context.Context, place string) (int, error) {
	var page struct {
		Total int `json:"total_count"`
	}
	err := s.Call(ctx, http.MethodGet, place+"/actions/runners", nil, &page)
	return page.Total, err
}

// JobLog returns the log of a job.
func (s *Server) JobLog(ctx context.Context, repository string, job int64) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/api/v1/repos/%s/actions/jobs/%d/logs", s.URL, repository, job), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "token "+s.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// Cancel cancels a run as a person does, on its page: there is no call for it.
func (s *Server) Cancel(ctx context.Context, run Run) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	person := &http.Client{Jar: jar}
	post := func(address string, form url.Values) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", s.URL)
		res, err := person.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode/100 != 2 {
			return fmt.Errorf("POST %s: %s", address, res.Status)
		}
		return nil
	}
	if err := post(s.URL+"/user/login", url.Values{"user_name": {s.User}, "password": {s.password}}); err != nil {
		return err
	}
	if _, _, found := strings.Cut(run.URL, "/actions/runs/"); !found {
		return errors.New("run without a page")
	}
	return post(run.URL+"/cancel", nil)
}
