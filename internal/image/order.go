package image

import "errors"

// An Order is what a person asks of a catalog: one of its fields, or Promote with Built.
type Order struct {
	Promote  *Promote  `json:"promote,omitempty"`
	Rollback *Rollback `json:"rollback,omitempty"`
	Built    *Built    `json:"built,omitempty"` // with Promote: the image it is about, if the catalog does not know it
}

// Input is what the catalog is told.
func (o Order) Input() (Input, error) {
	switch {
	case o.Promote != nil:
		return *o.Promote, nil
	case o.Rollback != nil:
		return *o.Rollback, nil
	case o.Built != nil:
		return *o.Built, nil
	}
	return nil, errors.New("an order of nothing")
}
