package module

import (
	"github.com/commercestack/commercestack/internal/reseal"
	"github.com/commercestack/commercestack/services/billing/store"
)

// Sealed are the columns of the component that hold sealed fields.
func Sealed() []reseal.Column { return store.Sealed() }
