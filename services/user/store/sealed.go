package store

import "github.com/commercestack/commercestack/internal/reseal"

// Sealed are the columns of the component that hold sealed fields.
func Sealed() []reseal.Column {
	return []reseal.Column{
		{Table: "profile", Name: "phone_sealed", Key: []string{"id"}, AssociatedData: func(bind []string) []byte { return phoneOf(reseal.ID(bind)) }},
		{Table: "address", Name: "sealed", Key: []string{"id"}, AssociatedData: func(bind []string) []byte { return addressOf(reseal.ID(bind)) }},
	}
}
