package githubsim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/git"
)

// Who does everything here.
const (
	sender   = "octocat"
	senderID = 583231
)

// nodeID gives the id that GraphQL knows something by.
func nodeID(kind string, id int64) string { return fmt.Sprintf("%s_%d", kind, id) }

// owner gives an account as the API does inside other answers.
func (a *account) shape(web string) object {
	kind := "Organization"
	if a.user {
		kind = "User"
	}
	return userShape(web, a.login, a.id, kind)
}

func senderShape(web string) object { return userShape(web, sender, senderID, "User") }

func userShape(web, login string, id int64, kind string) object {
	url := web + "/api/v3/users/" + login
	return object{
		"login": login, "id": id, "node_id": nodeID("U", id), "avatar_url": web + "/avatars/" + login, "gravatar_id": "",
		"url": url, "html_url": web + "/" + login, "followers_url": url + "/followers", "following_url": url + "/following{/other_user}",
		"gists_url": url + "/gists{/gist_id}", "starred_url": url + "/starred{/owner}{/repo}", "subscriptions_url": url + "/subscriptions",
		"organizations_url": url + "/orgs", "repos_url": url + "/repos", "events_url": url + "/events{/privacy}",
		"received_events_url": url + "/received_events", "type": kind, "site_admin": false,
	}
}

// organization gives an organisation as payloads have it.
func (a *account) organization(web string) object {
	url := web + "/api/v3/orgs/" + a.login
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID("O", a.id), "url": url, "repos_url": url + "/repos", "events_url": url + "/events",
		"hooks_url": url + "/hooks", "issues_url": url + "/issues", "members_url": url + "/members{/member}",
		"public_members_url": url + "/public_members{/member}", "avatar_url": web + "/avatars/" + a.login, "description": "",
	}
}

// repositoryURLs are the addresses that every repository has, below its own.
var repositoryURLs = map[string]string{
	"forks_url": "forks", "keys_url": "keys{/key_id}", "collaborators_url": "collaborators{/collaborator}", "teams_url": "teams",
	"hooks_url": "hooks", "issue_events_url": "issues/events{/number}", "events_url": "events", "assignees_url": "assignees{/user}",
	"branches_url": "branches{/branch}", "tags_url": "tags", "blobs_url": "git/blobs{/sha}", "git_tags_url": "git/tags{/sha}",
	"git_refs_url": "git/refs{/sha}", "trees_url": "git/trees{/sha}", "statuses_url": "statuses/{sha}", "languages_url": "languages",
	"stargazers_url": "stargazers", "contributors_url": "contributors", "subscribers_url": "subscribers", "subscription_url": "subscription",
	"commits_url": "commits{/sha}", "git_commits_url": "git/commits{/sha}", "comments_url": "comments{/number}",
	"issue_comment_url": "issues/comments{/number}", "contents_url": "contents/{+path}", "compare_url": "compare/{base}...{head}",
	"merges_url": "merges", "archive_url": "{archive_format}{/ref}", "downloads_url": "downloads", "issues_url": "issues{/number}",
	"pulls_url": "pulls{/number}", "milestones_url": "milestones{/number}", "notifications_url": "notifications{?since,all,participating}",
	"labels_url": "labels{/name}", "releases_url": "releases{/id}", "deployments_url": "deployments",
}

// minimal gives a repository as runs have it.
func (r *repository) minimal(web string) object {
	url := web + "/api/v3/repos/" + r.fullName()
	out := object{
		"id": r.id, "node_id": nodeID("R", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private,
		"owner": r.owner.shape(web), "html_url": web + "/" + r.fullName(), "description": nil, "fork": false, "url": url,
	}
	for name, path := range repositoryURLs {
		out[name] = url + "/" + path
	}
	return out
}

// shape gives a repository as payloads have it.
func (r *repository) shape(web string) object {
	page := web + "/" + r.fullName()
	visibility := "public"
	if r.private {
		visibility = "private"
	}
	out := r.minimal(web)
	maps.Copy(out, object{
		"created_at": timestamp(r.created), "updated_at": timestamp(r.created), "pushed_at": timestamp(r.pushed),
		"git_url": strings.Replace(page, "http", "git", 1) + ".git", "ssh_url": "git@localhost:" + r.fullName() + ".git",
		"clone_url": page + ".git", "svn_url": page, "homepage": nil, "size": 0, "stargazers_count": 0, "watchers_count": 0,
		"language": nil, "has_issues": true, "has_projects": true, "has_downloads": true, "has_wiki": true, "has_pages": false,
		"has_discussions": false, "forks_count": 0, "mirror_url": nil, "archived": false, "disabled": false, "open_issues_count": 0,
		"license": nil, "allow_forking": true, "is_template": false, "web_commit_signoff_required": false, "topics": []string{},
		"visibility": visibility, "forks": 0, "open_issues": 0, "watchers": 0, "default_branch": "main", "custom_properties": object{},
	})
	return out
}

// shape gives a job as the API and payloads have it.
func (j *job) shape(web string) object {
	url := web + "/api/v3/repos/" + j.Repository
	started := j.StartedAt
	if started.IsZero() {
		started = j.Created // GitHub never says null
	}
	out := object{
		"id": j.ID, "run_id": j.RunID, "run_attempt": j.Attempt, "workflow_name": j.Workflow, "head_branch": j.run.branch(), "head_sha": j.run.SHA,
		"run_url": fmt.Sprintf("%s/actions/runs/%d", url, j.RunID), "node_id": nodeID("CR", j.ID),
		"url": fmt.Sprintf("%s/actions/jobs/%d", url, j.ID), "html_url": fmt.Sprintf("%s/%s/actions/runs/%d/job/%d", web, j.Repository, j.RunID, j.ID),
		"check_run_url": fmt.Sprintf("%s/check-runs/%d", url, j.ID), "name": j.Name, "labels": slices.Clone(j.Labels),
		"status": j.Status, "conclusion": null(j.Conclusion), "created_at": timestamp(j.Created), "started_at": timestamp(started),
		"completed_at": timestamp(j.Completed), "steps": stepShapes(j.Steps),
		"runner_id": nil, "runner_name": nil, "runner_group_id": nil, "runner_group_name": nil,
	}
	if j.Runner != "" {
		out["runner_name"] = j.Runner // also of a job that was carried over from another attempt
	}
	if j.RunnerID != 0 {
		out["runner_id"], out["runner_group_id"], out["runner_group_name"] = j.RunnerID, j.group.id, j.group.name
	}
	return out
}

func stepShapes(steps []Step) []object {
	out := []object{}
	for _, st := range steps {
		out = append(out, object{
			"name": st.Name, "status": st.Status, "conclusion": null(st.Conclusion), "number": st.Number,
			"started_at": timestamp(st.Started), "completed_at": timestamp(st.Completed),
		})
	}
	return out
}

// null gives nil for the empty text.
func null(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (r *run) branch() string {
	return strings.TrimPrefix(strings.TrimPrefix(r.Ref, "refs/heads/"), "refs/tags/")
}

// shape gives a run as the API and payloads have it.
func (r *run) shape(web string) object {
	url := fmt.Sprintf("%s/api/v3/repos/%s/actions/runs/%d", web, r.Repository, r.ID)
	workflow := r.repo.workflows[r.Path]
	var previous any
	if r.Attempt > 1 {
		previous = fmt.Sprintf("%s/attempts/%d", url, r.Attempt-1)
	}
	return object{
		"id": r.ID, "name": r.Workflow, "node_id": nodeID("WFR", r.ID), "head_branch": r.branch(), "head_sha": r.SHA, "path": r.Path,
		"display_title": r.title, "run_number": r.Number, "run_attempt": r.Attempt, "event": r.Event, "status": r.Status,
		"conclusion": null(r.Conclusion), "workflow_id": workflow, "check_suite_id": r.ID, "check_suite_node_id": nodeID("CS", r.ID),
		"url": url, "html_url": fmt.Sprintf("%s/%s/actions/runs/%d", web, r.Repository, r.ID), "pull_requests": []object{},
		"created_at": timestamp(r.Created), "updated_at": timestamp(r.Updated), "run_started_at": timestamp(r.Started),
		"actor": senderShape(web), "triggering_actor": senderShape(web), "referenced_workflows": []object{},
		"jobs_url": url + "/jobs", "logs_url": url + "/logs", "check_suite_url": fmt.Sprintf("%s/api/v3/repos/%s/check-suites/%d", web, r.Repository, r.ID),
		"artifacts_url": url + "/artifacts", "cancel_url": url + "/cancel", "rerun_url": url + "/rerun", "previous_attempt_url": previous,
		"workflow_url": fmt.Sprintf("%s/api/v3/repos/%s/actions/workflows/%d", web, r.Repository, workflow),
		"head_commit":  commitShape(r.commit), "repository": r.repo.minimal(web), "head_repository": r.repo.minimal(web),
	}
}

// workflowShape gives a run's workflow as payloads have it.
func (r *run) workflowShape(web string) object {
	id := r.repo.workflows[r.Path]
	return object{
		"id": id, "node_id": nodeID("W", id), "name": r.Workflow, "path": r.Path, "state": "active",
		"created_at": timestamp(r.repo.created), "updated_at": timestamp(r.repo.created),
		"url":       fmt.Sprintf("%s/api/v3/repos/%s/actions/workflows/%d", web, r.Repository, id),
		"html_url":  fmt.Sprintf("%s/%s/blob/%s/%s", web, r.Repository, r.branch(), r.Path),
		"badge_url": fmt.Sprintf("%s/%s/workflows/%s/badge.svg", web, r.Repository, r.Workflow),
	}
}

func commitShape(c git.Commit) object {
	who := object{"name": c.Author, "email": c.Email}
	return object{"id": c.SHA, "tree_id": c.Tree, "message": c.Message, "timestamp": timestamp(c.Time), "author": who, "committer": who}
}
