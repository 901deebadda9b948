package bus

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A table stands for what is pending on disk, beside the queue under test.
type table struct {
	q      *queue
	now    int64
	seq    int64
	rows   []delivery // sorted
	flying []delivery
}

func (m *table) insert(d delivery) {
	at, _ := slices.BinarySearchFunc(m.rows, d, compare)
	m.rows = slices.Insert(m.rows, at, d)
}

func (m *table) remove(d delivery) {
	m.rows = slices.DeleteFunc(m.rows, func(r delivery) bool { return r == d })
}

func (m *table) refill() {
	limit := min(m.q.limit+len(m.flying), len(m.rows))
	m.q.fill(slices.Clone(m.rows[:limit]), limit == m.q.limit+len(m.flying))
}

// first is the first row that is not in flight.
func (m *table) first() (delivery, bool) {
	for _, r := range m.rows {
		if !slices.Contains(m.flying, r) {
			return r, true
		}
	}
	return delivery{}, false
}

func (m *table) publish(*rapid.T) {
	m.seq++
	d := newDelivery(m.q, m.seq)
	m.insert(d)
	m.q.add(d)
}

func (m *table) take(t *rapid.T) {
	d, ok, wait, empty := m.q.take(time.UnixMilli(m.now))
	if empty {
		m.refill()
		d, ok, wait, empty = m.q.take(time.UnixMilli(m.now))
	}
	want, some := m.first()
	switch due := some && want.due <= m.now; {
	case empty && some:
		t.Fatalf("the window is empty after it was filled; want %+v", want)
	case ok != due || ok && d != want:
		t.Fatalf("take = %+v, %v; want %+v, %v", d, ok, want, due)
	case some && !ok && wait != time.Duration(want.due-m.now)*time.Millisecond:
		t.Fatalf("take says to wait %v at %d; want until %+v", wait, m.now, want)
	case ok:
		m.flying = append(m.flying, d)
	}
}

// land takes one delivery out of the air.
func (m *table) land(t *rapid.T) delivery {
	if len(m.flying) == 0 {
		t.Skip("nothing in flight")
	}
	i := rapid.IntRange(0, len(m.flying)-1).Draw(t, "i")
	d := m.flying[i]
	m.flying = slices.Delete(m.flying, i, i+1)
	m.remove(d)
	return d
}

func (m *table) succeed(t *rapid.T) { m.q.settle(m.land(t)) }

func (m *table) fail(t *rapid.T) {
	d := m.land(t)
	d.attempts++
	d.due = m.now + rapid.Int64Range(1, 20).Draw(t, "pause")
	m.insert(d)
	m.q.add(d)
}

func (m *table) wait(t *rapid.T) { m.now += rapid.Int64Range(1, 10).Draw(t, "ms") }

// TestQueue compares a queue with a window of 4 to the whole table: whatever
// happens, the queue gives what is due, in the order of the table's key.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &table{q: newQueue(Rule{Workers: math.MaxInt}, nil), now: 1000}
		m.q.limit = 4
		t.Repeat(map[string]func(*rapid.T){
			"publish": m.publish, "take": m.take, "succeed": m.succeed, "fail": m.fail, "wait": m.wait,
			"": func(t *rapid.T) {
				if n := len(m.q.window); n > m.q.limit {
					t.Fatalf("the window has %d deliveries; want %d at most", n, m.q.limit)
				}
			},
		})
	})
}

// TestClockSetBack: a delivery that was put off by a clock which has been set back since is tried again soon.
func TestClockSetBack(t *testing.T) {
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		putOff time.Duration
		due    bool
	}{
		"as long as a target may ask for": {MaxPutOff, false},
		"longer than anything is put off": {MaxPutOff + time.Millisecond, true},
	} {
		q := newQueue(Rule{Name: "jobs", Workers: 1}.withDefaults(), nil)
		d := newDelivery(q, 1)
		d.due = at.Add(test.putOff).UnixMilli()
		q.add(d)
		if _, ok, wait, _ := q.take(at); ok != test.due || !ok && wait != test.putOff {
			t.Errorf("%s: taken %t, wait %v: want %t", name, ok, wait, test.due)
		}
	}
}
