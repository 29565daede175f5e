package product

import "github.com/google/uuid"

// Event is what the catalog tells other components; it leaves with the
// transaction that made it true.
type Event struct {
	// ProductID of the product.
	ProductID uuid.UUID
	// Deleted is true when the product left the catalog, false when it was created or changed.
	Deleted bool
}

// Changed says that a product was created or changed.
func Changed(id uuid.UUID) Event { return Event{ProductID: id} }

// Deleted says that a product left the catalog.
func Deleted(id uuid.UUID) Event { return Event{ProductID: id, Deleted: true} }
