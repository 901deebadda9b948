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
	Pool  string // the job's pool; "" if the event is not about a job, or it fits none
	Note  string // anything unusual
}

// Route adds to an event the repository it concerns and, if it is about a job, the job's pool.
// e.Detail is GitHub's payload. An error says what is missing in the payload; a guess could be a
// wrong route.
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
		_, r.Note = pools.Unfit(job)
	}
	r.Event.Detail, err = event.WithRouting(e.Detail, event.Routing{Pool: p.Name, Labels: event.FlatLabels(job.Labels), Delivery: e.ID, Job: job.Key()})
	return r, err
}

// about adds the repository to e; "" for none.
func about(e event.Event, repository string) Routed {
	if repository != "" {
		e.Resources = []string{repository}
	}
	return Routed{Event: e}
}

// repositoryOf returns the repository that the payload of any event concerns.
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

// space is the whitespace of JSON.
const space = " \t\r\n"

// isObject reports whether payload is a JSON object.
func isObject(payload []byte) bool {
	trimmed := bytes.TrimLeft(payload, space)
	return len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(payload)
}
