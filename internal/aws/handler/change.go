package handler

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// A change is the part of ECS's task event that matters here.
type change struct {
	TaskARN           string              `json:"taskArn"`
	TaskDefinitionARN string              `json:"taskDefinitionArn"`
	LastStatus        string              `json:"lastStatus"`
	StopCode          string              `json:"stopCode"`
	StoppedReason     string              `json:"stoppedReason"`
	Host              string              `json:"containerInstanceArn"` // "" while it waits for one
	Overrides         *types.TaskOverride `json:"overrides"`            // whose fields are called as in the event, but for case
	Containers        []struct {
		Name     string `json:"name"`
		ExitCode *int   `json:"exitCode"`
		Image    string `json:"image"`       // as in the task definition
		Digest   string `json:"imageDigest"` // of images in ECR only, and once it was pulled
		Reason   string `json:"reason"`
	} `json:"containers"`
}

// input returns what c means for the runner that its task represents; nil for an intermediate step.
// A task that waits for a host is on its way, and so is a second one for the same runner: the
// runner is bound to the one that claims.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
func (c change) input(runner ledger.RunnerName, task string) ledger.Input {
	switch c.LastStatus {
	case "PROVISIONING", "PENDING", "ACTIVATING":
		return ledger.Starting{Runner: runner}
	case "RUNNING":
		return ledger.Started{Runner: runner, Container: task, Image: c.image()}
	case "STOPPED":
		return ledger.Gone{Runner: runner, Container: task, Image: c.image(), ExitCode: c.code(), Reason: c.reason(), Outside: c.outside(), Unplaced: c.unplaced()}
	}
	return nil
}

// image returns what the runner's container was, or was to be, created from: the digest in the task
// definition, which is the promoted one, or else the digest that ECS found. A pool's own image may
// have neither, and is identified by its name.
func (c change) image() string {
	for _, one := range c.Containers {
		if one.Name != contract.ContainerName {
			continue
		}
		if _, digest, ok := strings.Cut(one.Image, "@"); ok {
			return digest
		}
		return cmp.Or(one.Digest, one.Image)
	}
	return ""
}

// imageFaults matches what ECS reports about a task that it could not start because of its image:
// the registry has no such digest, or none for this architecture, or its entry point cannot be
// executed. Other errors that begin alike have other causes: a registry that is unreachable or
// busy, permissions, a full disk, a log that cannot be opened.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cannot-start-container.html
// https://github.com/aws/amazon-ecs-agent/blob/master/agent/dockerclient/dockerapi/errors.go
var imageFaults = regexp.MustCompile(`(?is)CannotPull\w*Error: .*(manifest unknown|\bnot found\b|no matching manifest|matching platform)|CannotStartContainerError: .*(exec: |exec format error)`)

// outside reports whether the end of a task says nothing about its image: AWS or a person ended it
// (StopTask, a terminated host, a spot interruption), or its start failed for another reason.
// Unknown stop codes count as external, so that no image is rolled back because of a new one.
//
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html#ECS-Type-Task-stopCode
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
func (c change) outside() bool {
	switch types.TaskStopCode(c.StopCode) {
	case types.TaskStopCodeEssentialContainerExited:
		return pipeline.FromOutside(c.code())
	case types.TaskStopCodeTaskFailedToStart:
		return !imageFaults.MatchString(c.reason())
	}
	return true
}

// unplaced reports whether the task ended before there was a host for it, as one does that ECS gave up: a further
// one would wait in vain, too.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-capacity-providers.html
func (c change) unplaced() bool {
	return c.Host == "" && types.TaskStopCode(c.StopCode) == types.TaskStopCodeTaskFailedToStart
}

// code is the exit code of the runner's container; 0 when it had none.
func (c change) code() int {
	for _, one := range c.Containers {
		if one.Name == contract.ContainerName && one.ExitCode != nil {
			return *one.ExitCode
		}
	}
	return 0
}

// reason returns why the task stopped; "" if its program ended.
func (c change) reason() string {
	var parts []string
	if c.StopCode != string(types.TaskStopCodeEssentialContainerExited) {
		parts = append(parts, cmp.Or(c.StoppedReason, c.StopCode, "its task stopped"))
	}
	for _, one := range c.Containers {
		if one.Reason != "" {
			parts = append(parts, one.Reason) // such as OutOfMemoryError
		}
	}
	return strings.Join(parts, "; ")
}
