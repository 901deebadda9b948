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

// A JobKey names one attempt of a workflow job. On github.com a re-run is a new
// job id; other forges, such as Gitea, keep the id and raise the attempt, so all
// three are needed. Make one with [NewJobKey], which folds the repository's case.
// Its text form is "acme/web/123/1".
type JobKey struct {
	Repository string // owner/name, in lower case: GitHub ignores the case of both
	ID         int64
	Attempt    int // 1 for the first run; Gitea says 0
}

// NewJobKey returns the key of attempt of the job id in repository.
func NewJobKey(repository string, id int64, attempt int) JobKey {
	return JobKey{strings.ToLower(repository), id, attempt}
}

// KeyOf returns the key of the job that w tells of.
func KeyOf(w event.WorkflowJob) JobKey { return NewJobKey(w.Repository, w.ID, w.Attempt) }

// ParseJobKey reads the text form of a key.
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

// String gives the text form.
func (k JobKey) String() string { return fmt.Sprintf("%s/%d/%d", k.Repository, k.ID, k.Attempt) }

// IsZero reports whether k names no job.
func (k JobKey) IsZero() bool { return k == JobKey{} }

// MarshalText gives the text form, and nothing for the zero key.
func (k JobKey) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, nil
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads what MarshalText gave.
func (k *JobKey) UnmarshalText(text []byte) (err error) {
	*k = JobKey{}
	if len(text) > 0 {
		*k, err = ParseJobKey(string(text))
	}
	return err
}

// compare orders keys, so that what a map holds can be gone through in one order.
func (k JobKey) compare(o JobKey) int {
	return cmp.Or(cmp.Compare(k.ID, o.ID), cmp.Compare(k.Attempt, o.Attempt), cmp.Compare(k.Repository, o.Repository))
}

// A RunnerName is the name of a runner, at GitHub and as a container:
// [a-z0-9-], 64 characters at most. No two runners ever have the same.
type RunnerName string

// A LabelSet is the labels of a job or runner in one form that can be compared: lower case, sorted,
// each once, as [event.FlatLabels] joins them. Jobs with equal sets can take each other's runners.
// Its JSON form is a list.
type LabelSet string

// NewLabelSet brings labels into that form.
func NewLabelSet(labels []string) LabelSet {
	folded := make([]string, len(labels))
	for i, l := range labels {
		folded[i] = strings.ToLower(l)
	}
	slices.Sort(folded)
	return LabelSet(event.FlatLabels(slices.Compact(folded)))
}

// Labels returns the single labels.
func (s LabelSet) Labels() []string { return event.ParseLabels(string(s)) }

// String gives the labels for a person.
func (s LabelSet) String() string { return event.ShowLabels(s.Labels()) }

// MarshalJSON gives the list.
func (s LabelSet) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([]string{}, s.Labels()...))
}

// UnmarshalJSON reads a list, or the one text that earlier versions kept.
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

// A Level says where runners are registered: runners of one place serve the jobs of
// that place only.
type Level string

// The levels.
const (
	LevelRepository   Level = "" // each for its job's repository
	LevelOrganization Level = "organization"
	LevelEnterprise   Level = "enterprise" // one for all
)

// LevelOf reads where runners are registered: repository, organization or
// enterprises/SLUG.
func LevelOf(runnersAt string) Level {
	switch runnersAt {
	case "repository":
		return LevelRepository
	case "organization":
		return LevelOrganization
	}
	return LevelEnterprise
}

// RegisteredAt names where a runner for a job of s is registered.
func (l Level) RegisteredAt(s Scope) string {
	switch l {
	case LevelOrganization:
		return strings.ToLower(s.Organization)
	case LevelEnterprise:
		return ""
	}
	return strings.ToLower(s.Repository)
}

// A Scope is all that GitHub said of where a job belongs: what a runner for it may be
// registered at, and as which installation of the App.
type Scope struct {
	Repository   string `json:"repository"` // owner/name, as GitHub writes it
	Organization string `json:"organization,omitempty"`
	Enterprise   string `json:"enterprise,omitempty"`
	Installation int64  `json:"installation,omitempty"` // 0 without an App
}
