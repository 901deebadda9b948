package pool

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/why"
)

// Route returns the first pool that job fits, and whether there is one. It is the only
// place where jobs are routed: webhook and ledger ask it alike.
func (s Set) Route(job event.WorkflowJob) (Pool, bool) {
	for _, p := range s {
		if p.Takes(job.Labels) && p.Allows(job.Repository) && p.reaches(job) {
			return p, true
		}
	}
	return Pool{}, false
}

// reaches reports whether a runner of p can be registered where job is.
func (p Pool) reaches(job event.WorkflowJob) bool { return !p.OfOrganization || job.Organization != "" }

// Unfit says in a sentence why no pool takes job, which [Set.Route] found, and which cause that is.
func (s Set) Unfit(job event.WorkflowJob) (why.Cause, string) {
	if len(job.Labels) == 0 {
		return why.NoPool, "it has no labels, so that no pool takes it"
	}
	var nearest Pool
	var missing []string
	for _, p := range s {
		lacks := p.lacks(job.Labels)
		switch {
		case len(lacks) == 0 && !p.Allows(job.Repository):
			return why.OtherRepository, fmt.Sprintf("pool %s has its labels but does not serve repository %s", p.Name, job.Repository)
		case len(lacks) == 0:
			return why.OtherRepository, fmt.Sprintf("pool %s has its labels but its runners are registered at organizations (runners_at: organization), and repository %s belongs to a user",
				p.Name, job.Repository)
		case nearest.Name == "" || len(lacks) < len(missing):
			nearest, missing = p, lacks
		}
	}
	if nearest.Name == "" {
		return why.NoPool, "there are no pools"
	}
	return why.NoPool, fmt.Sprintf("no pool takes label %s: the nearest is %s, with labels %s",
		event.ShowLabels(missing), nearest.Name, event.ShowLabels(nearest.Labels))
}

// lacks returns those of labels that p does not have.
func (p Pool) lacks(labels []string) (beyond []string) {
	for _, l := range labels {
		if !containsFold(p.Labels, l) {
			beyond = append(beyond, l)
		}
	}
	return beyond
}

// hosted matches the labels of GitHub's own runners. Its larger runners are named as
// their owners like, so that a job for one cannot be told from one for a pool that is not there.
// https://docs.github.com/en/actions/reference/runners/github-hosted-runners
// https://docs.github.com/en/actions/reference/runners/larger-runners
var hosted = regexp.MustCompile(`^(ubuntu-(latest|slim|\d\d\.\d\d)(-arm)?|windows-(latest|\d{4}|11)(-arm|-vs\d{4})?|macos-(latest|\d\d(\.\d+)?)(-intel|-large|-xlarge)?)$`)

// Hosted reports whether a job with labels that no pool takes is one of GitHub's own runners: all labels
// are of those, or there are none.
func Hosted(labels []string) bool {
	for _, l := range labels {
		if !hosted.MatchString(strings.ToLower(l)) {
			return false
		}
	}
	return true
}
