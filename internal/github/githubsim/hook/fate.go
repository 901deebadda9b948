package hook

import "time"

// Faults are what befalls deliveries, each with a probability from 0 to 1. The
// JSON form is that of PUT /_sim/deliveries. The zero value is none.
type Faults struct {
	Lose    float64       `json:"lose,omitempty"`    // not sent; recorded as failed
	Vanish  float64       `json:"vanish,omitempty"`  // not sent, and not recorded at all
	Double  float64       `json:"double,omitempty"`  // sent twice under one GUID
	Reorder float64       `json:"reorder,omitempty"` // held back until another was sent
	Delay   float64       `json:"delay,omitempty"`   // sent after up to MaxDelay
	MaxWait time.Duration `json:"max_wait,omitempty"`
}

// defaultWait is the longest delay where Faults names none.
const defaultWait = time.Second

// A fate is what befalls one attempt.
type fate struct{ lose, vanish bool }

// SetFaults applies f to all events published from now on.
func (s *Sender) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// Faults returns the faults in force.
func (s *Sender) Faults() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// send draws a's fate and lets it take its way. The caller holds mu.
func (s *Sender) send(a *attempt) {
	f := s.faults
	a.fate = fate{lose: s.chance(f.Lose), vanish: s.chance(f.Vanish)}
	double, reorder, delay := s.chance(f.Double), s.chance(f.Reorder), s.chance(f.Delay)
	switch {
	case reorder && s.held == nil:
		s.open++
		s.held = a
		s.later(f.wait(), func() {
			if s.held == a {
				s.release()
			}
		})
	case delay:
		s.open++
		s.later(time.Duration(s.rng.Float64()*float64(f.wait())), func() {
			s.open--
			s.enqueue(a)
		})
	default:
		s.enqueue(a)
		s.release()
	}
	if double {
		again := *a
		s.enqueue(&again)
	}
}

// chance draws whether something of probability p happens. The caller holds mu.
func (s *Sender) chance(p float64) bool { return p > 0 && s.rng.Float64() < p }

func (f Faults) wait() time.Duration {
	if f.MaxWait > 0 {
		return f.MaxWait
	}
	return defaultWait
}

// later runs then, under mu, after d, unless the Sender is closed before. The
// caller holds mu.
func (s *Sender) later(d time.Duration, then func()) {
	s.timers = append(s.timers, time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.closed {
			then()
		}
	}))
}

// release sends delayed deliveries. The caller holds mu.
func (s *Sender) release() {
	if a := s.held; a != nil {
		s.held = nil
		s.open--
		s.enqueue(a)
	}
}
