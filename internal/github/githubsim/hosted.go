package githubsim

import (
	"fmt"
	"regexp"
	"time"
)

// hostedLabel is one label of a runner that GitHub hosts.
// https://docs.github.com/en/actions/reference/runners/github-hosted-runners
var hostedLabel = regexp.MustCompile(`(?i)^(?:` +
	`ubuntu-(?:latest|slim|\d\d\.04)(?:-arm)?|` +
	`windows-(?:latest|\d{2,4})(?:-arm|-vs\d+)?|` +
	`macos-(?:latest|\d{2})(?:-large|-xlarge|-intel)?)$`)

// atGitHub reports whether GitHub runs j on a machine of its own: by its one label,
// or since it asks for no label and no group.
func (j *job) atGitHub() bool {
	switch {
	case j.Group != "":
		return false
	case len(j.Labels) == 0:
		return true
	}
	return len(j.Labels) == 1 && hostedLabel.MatchString(j.Labels[0])
}

// hostedStart is how long GitHub takes to start a machine.
const hostedStart = time.Second

// hostedGroup is the group that GitHub's own runners are in; nobody may add others.
var hostedGroup = groupRef{2, "GitHub Actions"}

// runHosted starts and ends jobs that GitHub runs itself. It runs none of their
// steps, which the job's page says. The caller holds mu.
func (s *Sim) runHosted(now time.Time) {
	for _, j := range s.jobsInOrder() {
		switch {
		case !s.hosted[j]:
		case j.Status == StatusQueued && now.Sub(j.queued) >= hostedStart:
			s.startHosted(j)
		case j.Status == StatusInProgress && now.Sub(j.StartedAt) >= s.cfg.Hosted:
			j.Fault = fmt.Sprintf("A runner of GitHub's (%q) has this job: githubsim runs none of its steps, and gives it no outputs.", j.Labels)
			s.finish(j, Success)
		}
	}
}

func (s *Sim) startHosted(j *job) {
	j.RunnerID, j.group = s.nextID(), hostedGroup
	j.Runner = fmt.Sprintf("GitHub Actions %d", j.RunnerID)
	s.started(j)
}

// CompleteHosted ends a job that GitHub runs itself, with outputs, now.
func (s *Sim) CompleteHosted(job int64, conclusion string, outputs map[string]any) error {
	return s.change("job", job, func() bool {
		j := s.jobs[job]
		if j == nil || !s.hosted[j] {
			return false
		}
		if j.Status == StatusQueued {
			s.startHosted(j)
		}
		j.outputs = outputs
		s.finish(j, conclusion)
		return true
	})
}
