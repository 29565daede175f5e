package idempotency

import "github.com/commercestack/commercestack/internal/reseal"

// Sealed are the columns that hold sealed fields, in every component's schema.
func Sealed() []reseal.Column {
	column := func(name string) reseal.Column {
		return reseal.Column{
			Table: "idempotency_key", Name: name, Key: []string{"scope", "procedure", "key"},
			AssociatedData: func(bind []string) []byte {
				return claimKey{scope: bind[0], procedure: bind[1], key: bind[2]}.associated(name)
			},
		}
	}
	return []reseal.Column{column("params_hash"), column("response")}
}
