package ledger

import "unique"

// share has the texts of j that many jobs have alike share one memory: what each job brings was read by itself, and a
// hundred thousand may wait.
func (j *Job) share() {
	for _, text := range []*string{
		&j.Key.Repository, &j.Scope.Repository, &j.Scope.Organization, &j.Scope.Enterprise, &j.Pool, &j.Name, &j.Workflow, (*string)(&j.Labels),
	} {
		*text = unique.Make(*text).Value()
	}
}
