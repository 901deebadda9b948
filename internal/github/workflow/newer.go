package workflow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/rhysd/actionlint"
)

// emptySections may be empty at GitHub, by its schema.
// https://github.com/actions/runner/blob/main/src/Sdk/WorkflowParser/workflow-v1.0.json
var emptySections = []string{"needs", "env", "with", "services", "outputs", "strategy", "include", "exclude", "branches", "tags", "paths"}

// emptyTexts may be the empty text at GitHub: it is as if they were not there.
var emptyTexts = []string{"if", "container", "environment", "run", "run-name"}

// newerKeys are of a section, and newer than actionlint.
// https://github.blog/changelog/2026-05-07-github-actions-concurrency-groups-now-allow-larger-queues
var newerKeys = map[string]string{
	"queue":                  "concurrency",
	"cancel-timeout-minutes": "job",
	"entrypoint":             "services", // the runner's switch actions_service_container_command
	"command":                "services",
	"description":            "workflow",
}

// taken reports whether GitHub takes what actionlint refuses.
func (r *reader) taken(e *actionlint.Error) bool {
	// https://docs.github.com/en/actions/reference/workflows-and-actions/reusing-workflow-configurations#yaml-anchors-and-aliases
	if strings.HasPrefix(e.Message, `anchor "`) && strings.HasSuffix(e.Message, " is defined but not used") {
		return true
	}
	if e.Message == "string should not be empty" {
		return slices.ContainsFunc(emptyTexts, func(key string) bool { return r.follows(e, key+":") })
	}
	for _, section := range emptySections {
		if strings.HasPrefix(e.Message, fmt.Sprintf("%q section should not be empty", section)) {
			return r.blank(e)
		}
	}
	for key, section := range newerKeys {
		if strings.HasPrefix(e.Message, fmt.Sprintf("unexpected key %q for %q section", key, section)) {
			return true
		}
	}
	return false
}

// around splits the line of e into the text before e and the text from e on.
func (r *reader) around(e *actionlint.Error) (before, after string) {
	if e.Line < 1 || e.Line > len(r.lines) {
		return "", ""
	}
	line := []rune(r.lines[e.Line-1])
	at := max(0, min(e.Column-1, len(line)))
	return strings.TrimSpace(string(line[:at])), strings.TrimSpace(string(line[at:]))
}

// follows reports whether key stands right before the place of e.
func (r *reader) follows(e *actionlint.Error, key string) bool {
	before, _ := r.around(e)
	return strings.HasSuffix(before, key)
}

// blank reports whether [] or {} is at the place of e, and not nothing at all,
// which GitHub takes for null and refuses.
func (r *reader) blank(e *actionlint.Error) bool {
	_, after := r.around(e)
	return strings.HasPrefix(after, "[") || strings.HasPrefix(after, "{")
}

// A newer is what of a file GitHub reads and actionlint does not, or gets wrong: it
// takes the volumes of a container for its ports.
type newer struct {
	Concurrency any // with its member queue
	Jobs        map[string]newerJob
}

type newerJob struct {
	Concurrency any
	Container   any // a text or an object
	Services    any
}

// readNewer reads data, which actionlint reads too and faults where it is no YAML.
func readNewer(data []byte) (n newer) {
	_ = yaml.Unmarshal(data, &n)
	return n
}

// member returns what an object has under name, nil where it is none.
func member(v any, name string) any {
	object, _ := v.(map[string]any)
	return object[name]
}

// textsOf returns the list that an object has under name.
func textsOf(v any, name string) []string {
	list, _ := member(v, name).([]any)
	var out []string
	for _, item := range list {
		out = append(out, fmt.Sprint(item))
	}
	return out
}
