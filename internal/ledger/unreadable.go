package ledger

import "slices"

// An Unreadable is a row that the store could not read, for example because of a disk fault or a
// bug in an earlier version. It is set aside for a person to look at, and the ledger goes on
// without it.
type Unreadable struct {
	Row    string `json:"row"` // the store's name for it, such as a job's key or a runner's name
	Reason string `json:"reason"`
}

// SetAside records rows that the store could not read.
func (s *State) SetAside(rows ...Unreadable) {
	for _, r := range rows {
		s.unreadable = append(s.unreadable, Unreadable{clean(r.Row), clean(r.Reason)})
	}
}

// Unreadable returns the rows that the store could not read.
func (s *State) Unreadable() []Unreadable { return slices.Clone(s.unreadable) }
