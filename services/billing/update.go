package billing

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// ProfileChange says what of a profile is changed; nil stays.
type ProfileChange struct {
	UserID        uuid.UUID
	Email         string
	Name, TaxID   *string
	Address       *Address
	DefaultMethod *string
	// Version that the caller saw; nil does not ask.
	Version *int64
}

// UpdateProfile changes a billing profile. A new default method is attached to
// the provider's customer first, so that a stored method is one that works.
func (s *Service) UpdateProfile(ctx context.Context, in ProfileChange) (Profile, error) {
	profile, err := s.Store.Profile(ctx, in.UserID)
	if err != nil {
		return Profile{}, err
	}
	if in.Version != nil && *in.Version != profile.Version {
		return Profile{}, fault.Stale("the billing profile was changed meanwhile")
	}
	if in.Name != nil {
		profile.Recipient.Name = *in.Name
	}
	if in.TaxID != nil {
		profile.Recipient.TaxID = *in.TaxID
	}
	if in.Address != nil {
		profile.Recipient.Address = *in.Address
	}
	if in.DefaultMethod != nil && *in.DefaultMethod != profile.DefaultMethod {
		if profile, err = s.keepMethod(ctx, profile, in.Email, *in.DefaultMethod); err != nil {
			return Profile{}, err
		}
	}
	profile.Version++
	profile.UpdateTime = s.now()
	return profile, s.Store.SaveProfile(ctx, profile)
}

// Forget removes a deleted user: first at the provider, which may not answer,
// then here. What the law asks to keep stays; see the package's documentation.
func (s *Service) Forget(ctx context.Context, eventID string, userID uuid.UUID) error {
	profile, err := s.Store.Profile(ctx, userID)
	if err != nil {
		return err
	}
	if profile.CustomerID != "" {
		if err := s.Provider.Forget(ctx, profile.CustomerID); err != nil {
			return err
		}
	}
	return s.Store.Erase(ctx, SubscriberAccounts, eventID, userID)
}

func (s *Service) keepMethod(ctx context.Context, profile Profile, email, method string) (Profile, error) {
	profile.DefaultMethod, profile.MethodID = method, ""
	if method == "" {
		return profile, nil
	}
	ctx, cancel := s.detach(ctx)
	defer cancel()
	var err error
	if profile.CustomerID == "" {
		if profile.CustomerID, err = s.Provider.Customer(ctx, profile.UserID, email); err != nil {
			return profile, offline(err)
		}
	}
	if profile.MethodID, err = s.Provider.Attach(ctx, profile.CustomerID, method); err != nil {
		return profile, offline(err)
	}
	return profile, nil
}

// offline turns a provider's failure into what a caller can act on.
func offline(err error) error {
	var refusal *ProviderError
	if errors.As(err, &refusal) && (refusal.Outage == Rejected || refusal.Outage == Missing) {
		return fault.Invalid("profile.default_payment_method", "was refused by the payment provider: %s", refusal.Message).WithCause(err)
	}
	return fault.Unavailable("payment provider", defaultLease).WithCause(err)
}
