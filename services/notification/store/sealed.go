package store

import "github.com/commercestack/commercestack/internal/reseal"

// Sealed are the columns of the component that hold sealed fields.
func Sealed() []reseal.Column {
	return []reseal.Column{
		{Table: "mail", Name: "recipient_sealed", Key: []string{"id"}, AssociatedData: func(bind []string) []byte { return purpose("to", reseal.ID(bind)) }},
		{Table: "mail", Name: "params_sealed", Key: []string{"id"}, AssociatedData: func(bind []string) []byte { return purpose("params", reseal.ID(bind)) }},
	}
}
