package user

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Export is everything the platform holds of a person.
type Export struct {
	// Time is when it was collected.
	Time time.Time
	// User is the account, the profile and the address book.
	User User
	// The rest is what other components hold.
	Sessions, Orders, Invoices []json.RawMessage
	BillingProfile             json.RawMessage
}

// Export collects everything the platform holds of the calling person. A part
// that cannot be had fails the whole: an export that silently lacks something is worse than none.
func (s *Service) Export(ctx context.Context, id uuid.UUID) (Export, error) {
	export := Export{Time: s.now()}
	var err error
	if export.User, err = s.User(ctx, id); err != nil {
		return Export{}, err
	}
	for _, part := range []struct {
		name    string
		target  *[]json.RawMessage
		collect func(context.Context) ([]json.RawMessage, error)
	}{
		{"sessions", &export.Sessions, s.holdings.Sessions},
		{"orders", &export.Orders, s.holdings.Orders},
		{"invoices", &export.Invoices, s.holdings.Invoices},
	} {
		if *part.target, err = part.collect(ctx); err != nil {
			return Export{}, fmt.Errorf("export %s: %w", part.name, err)
		}
	}
	if export.BillingProfile, err = s.holdings.BillingProfile(ctx); err != nil {
		return Export{}, fmt.Errorf("export billing profile: %w", err)
	}
	return export, nil
}
