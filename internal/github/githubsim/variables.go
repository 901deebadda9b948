package githubsim

import (
	"strconv"
)

// switches are what GitHub turns on in the runners of every job.
// https://github.com/actions/runner/blob/main/src/Runner.Common/Constants.cs
var switches = []string{
	"DistributedTask.EnhancedAnnotations", "DistributedTask.UploadStepSummary", "DistributedTask.NewActionMetadata",
	"DistributedTask.AllowRunnerContainerHooks", "DistributedTask.DetailUntarFailure", "DistributedTask.EnableCompositeActions",
	"DistributedTask.LogTemplateErrorsAsDebugMessages", "DistributedTask.MarkJobAsFailedOnWorkerCrash", "system.from_run_service",
	"actions_add_check_run_id_to_job_context", "actions_display_helpful_actions_download_errors", "actions_service_container_command",
	"actions_set_orchestration_id_env_for_actions", "actions_skip_retry_complete_job_upon_known_errors", "actions_uses_cache_service_v2",
}

// tokenPermissions are those of a GITHUB_TOKEN by default, as the runner prints them.
const tokenPermissions = `{"Contents":"read","Metadata":"read","Packages":"read"}`

// variables returns what a job's runner gets besides steps and contexts.
func (j *job) variables(web string) object {
	out := object{
		"system.github.token": object{"value": j.token, "isSecret": true},
		"github_token":        object{"value": j.token, "isSecret": true},
	}
	for name, value := range map[string]string{
		"system.github.job": j.Key, "system.github.runid": strconv.FormatInt(j.RunID, 10), "system.phaseDisplayName": j.Name,
		"system.github.results_endpoint":      web + pathResults + "/",
		"system.github.launch_endpoint":       web + pathLaunch + "/",
		"system.github.token.permissions":     tokenPermissions,
		"system.jobTimeout":                   minutesText(j.minutes),
		"system.orchestrationId":              j.orchestrationID(),
		"system.runner.lowdiskspacethreshold": "100", // MB
		"system.runnerEnvironment":            "self-hosted",
		"system.runnerGroupName":              j.group.name,
	} {
		out[name] = object{"value": value}
	}
	for _, name := range switches {
		out[name] = object{"value": "true"}
	}
	for name, value := range j.task.flow.secrets {
		out[name] = object{"value": value, "isSecret": true}
	}
	return out
}

// jobContext gives what GitHub knows of the context job; the runner adds to it.
// https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#job-context
func (j *job) jobContext() map[string]any {
	from, path := j.task.flow.origin, j.task.flow.file.Path // a called workflow's, if the job is one of it
	ref := j.run.Ref
	if from.commit.SHA != j.run.SHA {
		ref = from.commit.SHA
	}
	return map[string]any{
		"check_run_id": float64(j.ID), "workflow_ref": from.repo.fullName() + "/" + path + "@" + ref, "workflow_sha": from.commit.SHA,
		"workflow_repository": from.repo.fullName(), "workflow_file_path": path,
	}
}
