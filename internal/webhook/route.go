package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// A Routed is an event that is ready for the bus.
type Routed struct {
	Event event.Event
	Pool  string // the pool that takes the job; "" if it is of no job, or fits none
	Note  string // what is unusual about it
}

// Route says of an event what it is about, and of a job to which pool it goes. e.Detail
// is GitHub's payload. An error says what the payload lacks: then nothing is known of where
// it goes, and whoever guessed might be wrong.
func Route(e event.Event, pools pool.Set) (Routed, error) {
	if e.DetailType != event.TypeWorkflowJob {
		repository, err := repositoryOf(e.Detail)
		return about(e, repository), err
	}
	job, err := event.ParseWorkflowJob(e.Detail)
	if err != nil {
		return Routed{}, err
	}
	if wanted := job.Action == event.ActionQueued || job.Action == event.ActionWaiting; wanted && job.Labels == nil {
		return Routed{}, errors.New("workflow_job payload: workflow_job.labels is missing: want a list of labels")
	}
	p, ok := pools.Route(job)
	r := about(e, job.Repository)
	r.Pool = p.Name
	switch {
	case !ok && pool.Hosted(job.Labels):
		r.Note = "no pool has its labels, which hosted runners have"
	case !ok:
		r.Note = pools.Unfit(job)
	}
	r.Event.Detail, err = event.WithRouting(e.Detail, event.Routing{Pool: p.Name, Labels: event.FlatLabels(job.Labels), Delivery: e.ID, Job: job.Key()})
	return r, err
}

// about makes e one about a repository; "" is none.
func about(e event.Event, repository string) Routed {
	if repository != "" {
		e.Resources = []string{repository}
	}
	return Routed{Event: e}
}

// repositoryOf returns the repository that a payload of any event is about.
func repositoryOf(payload []byte) (string, error) {
	var p struct {
		Repository struct {
			FullName string `json:"full_name"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return "", fmt.Errorf("payload: %w", err)
	}
	if trimmed := bytes.TrimLeft(payload, space); trimmed[0] != '{' {
		return "", errors.New("payload: want a JSON object")
	}
	return p.Repository.FullName, nil
}

// space is what JSON has between its tokens.
const space = " \t\r\n"

// isObject reports whether payload is a JSON object.
func isObject(payload []byte) bool {
	trimmed := bytes.TrimLeft(payload, space)
	return len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(payload)
}
