package pool

import (
	"cmp"
	"slices"
)

// Hosts are equal machines that are started as runners of some pools need them, up to a number. The
// zero value of Each takes any number of runners.
type Hosts struct {
	Pools []string  `json:"pools"` // whose runners they take, by name
	Max   int       `json:"max"`   // the most there are at once
	Each  Resources `json:"each"`  // what one has for runners; a zero figure is no limit
}

// Take reports whether the hosts have room for count runners of each of set's pools at once. Large runners are
// placed first, each on the first host with room for it.
func (h Hosts) Take(set Set, count func(pool string) int) bool {
	left := make([]int, len(set))
	waiting := 0
	for i, p := range set {
		if slices.Contains(h.Pools, p.Name) {
			left[i] = count(p.Name)
			waiting += left[i]
		}
	}
	order := h.largestFirst(set)
	for range h.Max {
		var used Resources
		for _, i := range order {
			for ; left[i] > 0 && used.Plus(set[i].Resources).Fits(h.Each); left[i]-- {
				used = used.Plus(set[i].Resources)
				waiting--
			}
		}
		if waiting == 0 {
			return true
		}
	}
	return waiting == 0
}

// largestFirst returns the indexes of set's pools, those whose runners take most of a host first.
func (h Hosts) largestFirst(set Set) []int {
	share := func(r Resources) float64 {
		var most float64
		if h.Each.CPUs > 0 {
			most = r.CPUs / h.Each.CPUs
		}
		if h.Each.Memory > 0 {
			most = max(most, float64(r.Memory)/float64(h.Each.Memory))
		}
		return most
	}
	order := make([]int, len(set))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return -cmp.Compare(share(set[a].Resources), share(set[b].Resources)) })
	return order
}
