package ledger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/event"
)

// A JobKey identifies one attempt of a workflow job. On github.com a re-run has a new job id; other
// forges, such as Gitea, keep the id and raise the attempt, so the key has all three. Create one
// with [NewJobKey], which folds the repository's case. Its text form is "acme/web/123/1".
type JobKey struct {
	Repository string // owner/name, in lower case: GitHub ignores the case of both
	ID         int64
	Attempt    int // 1 for the first run; 0 on Gitea
}

// NewJobKey returns the key of attempt of the job id in repository.
func NewJobKey(repository string, id int64, attempt int) JobKey {
	return JobKey{strings.ToLower(repository), id, attempt}
}

// KeyOf returns the key of the job that w describes.
func KeyOf(w event.WorkflowJob) JobKey { return NewJobKey(w.Repository, w.ID, w.Attempt) }

// ParseJobKey parses the text form of a key.
func ParseJobKey(text string) (JobKey, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 4 || parts[0] == "" || parts[1] == "" {
		return JobKey{}, keyError(text)
	}
	id, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || id <= 0 {
		return JobKey{}, keyError(text)
	}
	attempt, err := strconv.ParseInt(parts[3], 10, 32)
	if err != nil || attempt < 0 {
		return JobKey{}, keyError(text)
	}
	return NewJobKey(parts[0]+"/"+parts[1], id, int(attempt)), nil
}

func keyError(text string) error {
	return fmt.Errorf("job %q: want owner/name/id/attempt, such as acme/web/123/1", text)
}

// String returns the text form; "" for the zero key.
func (k JobKey) String() string {
	if k.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s/%d/%d", k.Repository, k.ID, k.Attempt)
}

// Number returns the part of the text form that survives a rename of the repository: "123/1". Job
// ids are unique across repositories, so a store finds the job by it.
func (k JobKey) Number() string { return fmt.Sprintf("%d/%d", k.ID, k.Attempt) }

// IsZero reports whether k identifies no job.
func (k JobKey) IsZero() bool { return k == JobKey{} }

// MarshalText returns the text form; empty for the zero key.
func (k JobKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText parses what MarshalText returned.
func (k *JobKey) UnmarshalText(text []byte) (err error) {
	*k = JobKey{}
	if len(text) > 0 {
		*k, err = ParseJobKey(string(text))
	}
	return err
}

// compare defines an order, so that iteration over a map can be made deterministic.
func (k JobKey) compare(o JobKey) int {
	return cmp.Or(cmp.Compare(k.ID, o.ID), cmp.Compare(k.Attempt, o.Attempt), cmp.Compare(k.Repository, o.Repository))
}

// A RunnerName is the name of a runner, at GitHub and as a container: [a-z0-9-], at most 64
// characters. Names are never reused.
type RunnerName string

// A LabelSet is the labels of a job or runner in a canonical form: lower case, sorted, without
// duplicates, joined by [event.FlatLabels]. Jobs with equal sets can take each other's runners. Its
// JSON form is a list.
type LabelSet string

// NewLabelSet returns the canonical form of labels.
func NewLabelSet(labels []string) LabelSet {
	folded := make([]string, len(labels))
	for i, l := range labels {
		folded[i] = strings.ToLower(l)
	}
	slices.Sort(folded)
	return LabelSet(event.FlatLabels(slices.Compact(folded)))
}

// Labels returns the individual labels.
func (s LabelSet) Labels() []string { return event.ParseLabels(string(s)) }

// String returns the labels for display.
func (s LabelSet) String() string { return event.ShowLabels(s.Labels()) }

// MarshalJSON returns a list.
func (s LabelSet) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([]string{}, s.Labels()...))
}

// UnmarshalJSON parses a list, or the single string that earlier versions stored.
func (s *LabelSet) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		var flat string
		err := json.Unmarshal(text, &flat)
		*s = LabelSet(flat)
		return err
	}
	var labels []string
	err := json.Unmarshal(text, &labels)
	*s = NewLabelSet(labels)
	return err
}

// A Level is where runners register. A runner serves only jobs of the repository, organization or
// enterprise that it is registered at.
type Level string

// The levels.
const (
	LevelRepository   Level = "" // at the repository of the job
	LevelOrganization Level = "organization"
	LevelEnterprise   Level = "enterprise" // one place for all jobs
)

// LevelOf parses runners_at: repository, organization or enterprises/SLUG.
func LevelOf(runnersAt string) Level {
	switch runnersAt {
	case "repository":
		return LevelRepository
	case "organization":
		return LevelOrganization
	}
	return LevelEnterprise
}

// RegisteredAt returns where a runner for a job of s registers.
func (l Level) RegisteredAt(s Scope) string {
	switch l {
	case LevelOrganization:
		return strings.ToLower(s.Organization)
	case LevelEnterprise:
		return ""
	}
	return strings.ToLower(s.Repository)
}

// A Scope is where a job belongs, as GitHub reported it: the candidates for a runner's place of
// registration, and the installation of the App to use.
type Scope struct {
	Repository   string `json:"repository"` // owner/name in GitHub's spelling
	Organization string `json:"organization,omitempty"`
	Enterprise   string `json:"enterprise,omitempty"`
	Installation int64  `json:"installation,omitempty"` // 0 without an App
}
