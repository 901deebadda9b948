package whatif

import (
	"container/heap"
	"time"
)

// An agenda is a queue of timed actions, earliest first; of two at the same time, the one added
// first.
type agenda struct {
	items items
	added int
}

type item struct {
	at  time.Time
	seq int // order of addition
	do  func()
}

func (a *agenda) add(at time.Time, do func()) {
	a.added++
	heap.Push(&a.items, item{at, a.added, do})
}

func (a *agenda) next() (item, bool) {
	if len(a.items) == 0 {
		return item{}, false
	}
	return heap.Pop(&a.items).(item), true
}

type items []item

func (s items) Len() int { return len(s) }
func (s items) Less(i, j int) bool {
	if c := s[i].at.Compare(s[j].at); c != 0 {
		return c < 0
	}
	return s[i].seq < s[j].seq
}
func (s items) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *items) Push(x any)   { *s = append(*s, x.(item)) }
func (s *items) Pop() any {
	last := (*s)[len(*s)-1]
	(*s)[len(*s)-1] = item{} // release what it references
	*s = (*s)[:len(*s)-1]
	return last
}
