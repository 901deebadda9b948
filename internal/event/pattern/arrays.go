package pattern

import (
	"slices"
	"sort"
)

// Fields match together only if they are not in different elements of the same
// array. So a clause is noted with the element in which its field was found,
// and a branch holds if elements can be chosen for its clauses such that no
// array is chosen twice with different elements.
// https://github.com/aws/event-ruler#json-array-matching

// maxSteps bounds the search. Choices that must fail together are skipped, so
// only patterns and events made for the purpose reach it. They do not match.
const maxSteps = 1 << 20

// An element is an object or an array inside an array of the event. Elements
// are numbered as they begin, so those inside one are numbered right after it.
// Element 0 is the event itself.
type element struct {
	outer int32 // the element that array is in
	array int32
	depth int32 // of elements, 0 for the event
}

type arrays struct {
	elements []element
	ends     []int32 // by array, the number of the first element after it
	current  int32   // the element being read
	chosen   []int32
	steps    int
}

func (a *arrays) reset() {
	a.elements = append(a.elements[:0], element{array: -1})
	a.ends = a.ends[:0]
	a.current = 0
	a.chosen = a.chosen[:0]
}

func (a *arrays) open() int32 {
	a.ends = append(a.ends, 0)
	return int32(len(a.ends) - 1)
}

func (a *arrays) enter(array, outer int32) {
	a.current = int32(len(a.elements))
	a.elements = append(a.elements, element{outer: outer, array: array, depth: a.elements[outer].depth + 1})
}

func (a *arrays) close(array int32) { a.ends[array] = int32(len(a.elements)) }

// holds reports whether the event meets all clauses of a branch.
func (r *run) holds(clauses []int32) bool {
	plain := true // nothing was met inside arrays only
	for _, id := range clauses {
		met, absence := r.met[id], r.matcher.absence[id]
		switch {
		case len(met) > 0:
			plain = plain && met[0] == 0
		case absence < 0:
			return false
		case len(r.met[absence]) > 0:
			if r.met[absence][0] == 0 {
				return false
			}
			plain = false
		}
	}
	if plain {
		return true
	}
	for _, id := range clauses {
		slices.Sort(r.met[id])
		if absence := r.matcher.absence[id]; absence >= 0 {
			slices.Sort(r.met[absence])
		}
	}
	r.steps = 0
	return r.choose(clauses)
}

// choose reports whether elements can be chosen for clauses that are compatible
// with those chosen already. As in AWS's engine, a field is absent if it is in no
// element that is compatible with those chosen for earlier clauses.
func (r *run) choose(clauses []int32) bool {
	if len(clauses) == 0 {
		return true
	}
	if r.steps++; r.steps > maxSteps {
		return false
	}
	met, absence := r.met[clauses[0]], r.matcher.absence[clauses[0]]
	for i := r.next(met, 0); i < len(met); i = r.next(met, i+1) {
		r.chosen = append(r.chosen, met[i])
		ok := r.choose(clauses[1:])
		r.chosen = r.chosen[:len(r.chosen)-1]
		if ok {
			return true
		}
	}
	if absence < 0 || r.next(r.met[absence], 0) < len(r.met[absence]) {
		return false
	}
	return r.choose(clauses[1:])
}

// next returns the index in met, from i on, of the first element that is
// compatible with those chosen, or len(met).
func (a *arrays) next(met []int32, i int) int {
	for i < len(met) {
		resume := a.conflict(met[i])
		if resume < 0 {
			return i
		}
		rest := met[i+1:]
		i += 1 + sort.Search(len(rest), func(k int) bool { return rest[k] >= resume })
	}
	return i
}

// conflict returns -1 if e is compatible with the chosen elements, else the
// number of the first element after e that may be.
func (a *arrays) conflict(e int32) int32 {
	for _, chosen := range a.chosen {
		x, y := a.siblings(e, chosen)
		if x == y || a.elements[x].array != a.elements[y].array {
			continue
		}
		if x < y {
			return y
		}
		return a.ends[a.elements[x].array]
	}
	return -1
}

// siblings returns the elements directly inside the innermost element that contains
// both x and y: those that contain x and y, or are x and y. If one contains the
// other, it returns that element twice.
func (a *arrays) siblings(x, y int32) (int32, int32) {
	for a.elements[x].depth > a.elements[y].depth {
		x = a.elements[x].outer
	}
	for a.elements[y].depth > a.elements[x].depth {
		y = a.elements[y].outer
	}
	for x != y && a.elements[x].outer != a.elements[y].outer {
		x, y = a.elements[x].outer, a.elements[y].outer
	}
	return x, y
}
