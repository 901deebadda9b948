package pattern

import (
	"maps"
	"slices"
)

// A Set is a collection of named patterns. An event is read once for all of
// them. A Set is immutable and safe for concurrent use: to change rules, create
// another one and swap the pointer. The zero value matches nothing.
type Set struct {
	names   []string
	matcher *matcher
}

// NewSet returns the set of the given patterns.
func NewSet(patterns map[string]*Pattern) *Set {
	names := slices.Sorted(maps.Keys(patterns))
	rules := make([][]branch, len(names))
	for i, name := range names {
		rules[i] = patterns[name].branches
	}
	return &Set{names: names, matcher: newMatcher(rules)}
}

// Match returns the names of the patterns that match event, sorted; nil if
// none does. See [Pattern.Matches].
func (s *Set) Match(event []byte) []string {
	if s.matcher == nil {
		return nil
	}
	var names []string
	s.matcher.run(event, func(rule int) { names = append(names, s.names[rule]) })
	slices.Sort(names)
	return names
}
