package store

import (
	"encoding/hex"

	"github.com/commercestack/commercestack/internal/reseal"
	domain "github.com/commercestack/commercestack/services/auth"
)

// Sealed are the columns of the component that hold sealed fields.
func Sealed() []reseal.Column {
	return []reseal.Column{
		{
			Table: "signing_key", Name: "private_sealed", Key: []string{"id"},
			AssociatedData: func(bind []string) []byte { return domain.SigningKeyPlace(bind[0]) },
		},
		{
			Table: "refresh_token", Name: "successor_sealed", Key: []string{"id"}, Bind: []string{"encode(hash, 'hex')"},
			AssociatedData: func(bind []string) []byte {
				hash, err := hex.DecodeString(bind[0])
				if err != nil {
					return nil // then it does not open, and is counted
				}
				return domain.SuccessorPlace(hash)
			},
		},
		{
			Table: "river_job", Name: "args", JSON: "sealed", Where: "kind = 'auth.mail'", Key: []string{"id"}, Bind: []string{"(args->>'id')"},
			AssociatedData: func(bind []string) []byte { return domain.MailPlace(reseal.ID(bind)) },
		},
	}
}
