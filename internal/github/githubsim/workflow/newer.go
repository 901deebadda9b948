package workflow

import (
	"strings"

	"github.com/goccy/go-yaml"
)

// taken reports whether GitHub takes what actionlint refuses with message.
func taken(message string) bool {
	switch {
	case strings.HasPrefix(message, `anchor "`) && strings.HasSuffix(message, " is defined but not used"):
		// https://docs.github.com/en/actions/reference/workflows-and-actions/reusing-workflow-configurations#yaml-anchors-and-aliases
		return true
	case strings.HasPrefix(message, `unexpected key "queue" for "concurrency" section`):
		// https://github.blog/changelog/2026-05-07-github-actions-concurrency-groups-now-allow-larger-queues
		return true
	}
	return false
}

// A newer is what of a file GitHub reads and actionlint does not yet.
type newer struct {
	Concurrency any // with its member queue
	Jobs        map[string]struct{ Concurrency any }
}

// readNewer reads data, which actionlint reads too and faults where it is no YAML.
func readNewer(data []byte) (n newer) {
	_ = yaml.Unmarshal(data, &n)
	return n
}

// job returns concurrency of the job called key.
func (n newer) job(key string) any { return n.Jobs[key].Concurrency }

// queueOf returns the member queue of concurrency, "" if it has none.
func queueOf(concurrency any) string {
	object, _ := concurrency.(map[string]any)
	queue, _ := object["queue"].(string)
	return queue
}
