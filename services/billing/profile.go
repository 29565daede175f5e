package billing

import (
	"time"

	"github.com/google/uuid"
)

// Profile is how a user is billed.
type Profile struct {
	UserID uuid.UUID
	// Recipient is what invoices show.
	Recipient Recipient
	// CustomerID is the provider's, "" until one was needed.
	CustomerID string
	// DefaultMethod is as the user named it, MethodID as the provider keeps it for the customer.
	DefaultMethod, MethodID string
	// Version is 0 for a profile that was never written.
	Version    int64
	UpdateTime time.Time
}
