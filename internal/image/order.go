package image

import "errors"

// An Order is a person's request to a catalog. Exactly one field is set, or Promote with Built.
type Order struct {
	Promote  *Promote  `json:"promote,omitempty"`
	Rollback *Rollback `json:"rollback,omitempty"`
	Built    *Built    `json:"built,omitempty"` // with Promote: the image, if the catalog may not know it
}

// Input returns the input for the catalog.
func (o Order) Input() (Input, error) {
	switch {
	case o.Promote != nil:
		return *o.Promote, nil
	case o.Rollback != nil:
		return *o.Rollback, nil
	case o.Built != nil:
		return *o.Built, nil
	}
	return nil, errors.New("the order is empty")
}
