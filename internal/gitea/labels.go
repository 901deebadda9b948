package gitea

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/mayfly-ci/mayfly/internal/forge"
)

// Bounds of what is remembered of labels, which come from outside.
const (
	maxLabels    = 4096
	maxSpellings = 8
)

// spellings remembers how jobs spelled their labels. Mayfly ignores the case of labels, as
// GitHub does; Gitea gives a job only to a runner that has its labels letter by letter
// (models/actions/runner.go, CanMatchLabels).
type spellings struct {
	mu      sync.Mutex
	byLower map[string]map[string]bool // under mu
}

// add remembers labels of a job.
func (s *spellings) add(labels []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byLower == nil || len(s.byLower) > maxLabels {
		s.byLower = map[string]map[string]bool{}
	}
	for _, l := range labels {
		lower := strings.ToLower(l)
		if s.byLower[lower] == nil {
			s.byLower[lower] = map[string]bool{}
		}
		if len(s.byLower[lower]) < maxSpellings {
			s.byLower[lower][l] = true
		}
	}
}

// of returns all spellings of labels, and whether each was seen before.
func (s *spellings) of(labels []string) (all []string, seen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen = true
	for _, l := range labels {
		known := s.byLower[strings.ToLower(l)]
		seen = seen && len(known) > 0
		all = append(all, l)
		all = slices.AppendSeq(all, maps.Keys(known))
	}
	slices.Sort(all)
	return slices.Compact(all), seen
}

// spelled returns labels as jobs spell them. What was queued before this process began is
// asked for.
func (c *Client) spelled(ctx context.Context, at forge.Scope, labels []string) ([]string, error) {
	all, seen := c.spellings.of(labels)
	if seen {
		return all, nil
	}
	if err := c.jobs(ctx, at, "queued", func(j apiJob) { c.spellings.add(j.Labels) }); err != nil {
		return nil, err
	}
	all, _ = c.spellings.of(labels)
	return all, nil
}
