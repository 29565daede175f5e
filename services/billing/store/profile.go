package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	ent "github.com/commercestack/commercestack/ent/billing"
	"github.com/commercestack/commercestack/ent/billing/billingprofile"
	"github.com/commercestack/commercestack/ent/billing/invoice"
	"github.com/commercestack/commercestack/ent/billing/payment"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/inbox"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/services/billing"
)

// Profile implements billing.Store.
func (s *Store) Profile(ctx context.Context, userID uuid.UUID) (billing.Profile, error) {
	row, err := s.client.BillingProfile.Get(ctx, userID)
	if ent.IsNotFound(err) {
		return billing.Profile{UserID: userID}, nil
	}
	if err != nil {
		return billing.Profile{}, postgres.Fault(err)
	}
	profile := billing.Profile{
		UserID: userID, CustomerID: fromText(row.CustomerID), DefaultMethod: row.DefaultPaymentMethod, MethodID: row.MethodID,
		Version: row.Version, UpdateTime: row.UpdateTime.UTC(),
	}
	if err := s.codec.open(row.DetailsSealed, place("billing_profile/details", userID), &profile.Recipient); err != nil {
		return billing.Profile{}, fmt.Errorf("billing profile %s: %w", userID, err)
	}
	return profile, nil
}

// SaveProfile implements billing.Store.
func (s *Store) SaveProfile(ctx context.Context, p billing.Profile) error {
	sealed, err := s.codec.seal(p.Recipient, place("billing_profile/details", p.UserID))
	if err != nil {
		return err
	}
	var customer *string
	if p.CustomerID != "" {
		customer = &p.CustomerID
	}
	if p.Version == 1 {
		err := s.client.BillingProfile.Create().SetID(p.UserID).SetNillableCustomerID(customer).SetDetailsSealed(sealed).
			SetDefaultPaymentMethod(p.DefaultMethod).SetMethodID(p.MethodID).SetVersion(1).
			SetCreateTime(p.UpdateTime).SetUpdateTime(p.UpdateTime).Exec(ctx)
		if postgres.IsUnique(err, "billing_profile_pkey") {
			return fault.Stale("the billing profile was changed meanwhile").WithCause(err)
		}
		return postgres.Fault(err)
	}
	changed, err := s.client.BillingProfile.Update().Where(billingprofile.ID(p.UserID), billingprofile.Version(p.Version-1)).
		SetNillableCustomerID(customer).SetDetailsSealed(sealed).SetDefaultPaymentMethod(p.DefaultMethod).SetMethodID(p.MethodID).
		SetVersion(p.Version).SetUpdateTime(p.UpdateTime).Save(ctx)
	if err != nil {
		return postgres.Fault(err)
	}
	if changed == 0 {
		return fault.Stale("the billing profile was changed meanwhile")
	}
	return nil
}

// Erase implements billing.Store.
func (s *Store) Erase(ctx context.Context, subscriber, eventID string, userID uuid.UUID) error {
	return s.db.InTx(ctx, func(ctx context.Context, sqlTx *postgres.Tx) error {
		first, err := inbox.Once(ctx, sqlTx, subscriber, eventID)
		if err != nil || !first {
			return err
		}
		client := ent.NewClient(ent.Driver(sqlTx.Driver()))
		if _, err := client.BillingProfile.Delete().Where(billingprofile.ID(userID)).Exec(ctx); err != nil {
			return err
		}
		if err := client.Payment.Update().Where(payment.UserID(userID)).ClearUserID().SetEmail("").Exec(ctx); err != nil {
			return err
		}
		return client.Invoice.Update().Where(invoice.UserID(userID)).ClearUserID().SetEmail("").Exec(ctx)
	})
}
