package ledger

import "slices"

// An Unreadable is a row of a store that could not be read, as after a fault of the disk or of an earlier
// version. It is set aside: the ledger goes on without it, and somebody has to look.
type Unreadable struct {
	Row    string `json:"row"` // what the store calls it, such as a job's key or a runner's name
	Reason string `json:"reason"`
}

// SetAside notes rows that the store could not read.
func (s *State) SetAside(rows ...Unreadable) {
	for _, r := range rows {
		s.unreadable = append(s.unreadable, Unreadable{clean(r.Row), clean(r.Reason)})
	}
}

// Unreadable returns the rows that the store could not read.
func (s *State) Unreadable() []Unreadable { return slices.Clone(s.unreadable) }
