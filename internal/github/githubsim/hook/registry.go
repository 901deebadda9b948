package hook

import (
	"slices"
	"time"
)

// Create adds h and returns it with its id.
func (s *Sender) Create(h Hook) Hook {
	h.ID = s.set.NextID()
	h.Created = s.set.Now().UTC()
	h.Updated = h.Created
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks[h.ID] = &h
	return h
}

// List returns the hooks of target, oldest first.
func (s *Sender) List(target Target) []Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Hook
	for _, id := range sortedIDs(s.hooks) {
		if s.hooks[id].Target == target {
			out = append(out, *s.hooks[id])
		}
	}
	return out
}

// Get returns the hook of id, if target has it.
func (s *Sender) Get(target Target, id int64) (Hook, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hooks[id]
	if h == nil || h.Target != target {
		return Hook{}, false
	}
	return *h, true
}

// Update changes a hook that is there; its id, target and times are not change's to set.
func (s *Sender) Update(id int64, change func(*Hook)) Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hooks[id]
	if h == nil {
		return Hook{}
	}
	change(h)
	h.Updated = s.set.Now().UTC()
	return *h
}

// Delete removes a hook and its record, and reports whether target had it.
func (s *Sender) Delete(target Target, id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hooks[id]
	if h == nil || h.Target != target {
		return false
	}
	delete(s.hooks, id)
	delete(s.record, id)
	return true
}

// keepFor is how long GitHub knows a delivery, and can deliver it again.
// https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/redelivering-webhooks
const keepFor = 3 * 24 * time.Hour

// past reports whether d is no longer known. Then it is as if it had never been:
// it is in no list, and its address is 404.
func (s *Sender) past(d *Delivery) bool { return s.set.Now().Sub(d.At) > keepFor }

// Deliveries returns the deliveries of hook in the last three days, the newest first.
func (s *Sender) Deliveries(hook int64) []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Delivery{}
	for _, d := range s.record[hook] {
		if !s.past(d) {
			out = append(out, *d)
		}
	}
	slices.SortFunc(out, func(a, b Delivery) int { return int(b.ID - a.ID) })
	return out
}

// Delivery returns one delivery of hook in the last three days.
func (s *Sender) Delivery(hook, id int64) (Delivery, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.record[hook] {
		if d.ID == id && !s.past(d) {
			return *d, true
		}
	}
	return Delivery{}, false
}
