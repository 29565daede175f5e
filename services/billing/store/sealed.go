package store

import "github.com/commercestack/commercestack/internal/reseal"

// Sealed are the columns of the component that hold sealed fields.
func Sealed() []reseal.Column {
	column := func(table, name, where string) reseal.Column {
		return reseal.Column{
			Table: table, Name: name, Key: []string{"id"}, AssociatedData: func(bind []string) []byte { return place(where, reseal.ID(bind)) },
		}
	}
	return []reseal.Column{
		column("payment", "client_secret_sealed", "payment/client_secret"),
		column("invoice", "recipient_sealed", "invoice/recipient"),
		column("billing_profile", "details_sealed", "billing_profile/details"),
	}
}
