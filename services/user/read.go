package user

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// User returns an account with its profile and address book. A profile that
// the registration's event has not made yet is made now.
func (s *Service) User(ctx context.Context, id uuid.UUID) (User, error) {
	account, err := s.accounts.Account(ctx, id)
	if err != nil {
		return User{}, err
	}
	profile, err := s.store.Profile(ctx, id)
	if errors.Is(err, ErrUserNotFound) {
		profile, err = s.createProfile(ctx, account)
	}
	if err != nil {
		return User{}, err
	}
	addresses, err := s.store.Addresses(ctx, id)
	if err != nil {
		return User{}, err
	}
	return User{Account: account, Profile: profile, Addresses: addresses}, nil
}

func (s *Service) createProfile(ctx context.Context, account Account) (Profile, error) {
	now := s.now()
	err := s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		return tx.CreateProfile(ctx, Profile{
			ID: account.ID, DisplayName: account.DisplayName, Version: 1, CreateTime: now, UpdateTime: now,
		})
	})
	if err != nil {
		return Profile{}, err
	}
	// Read what is there: the event may have been faster, or the user erased meanwhile.
	return s.store.Profile(ctx, account.ID)
}

// ensureProfile makes the profile if it is missing.
func (s *Service) ensureProfile(ctx context.Context, id uuid.UUID) error {
	_, err := s.store.Profile(ctx, id)
	if !errors.Is(err, ErrUserNotFound) {
		return err
	}
	account, err := s.accounts.Account(ctx, id)
	if err != nil {
		return err
	}
	_, err = s.createProfile(ctx, account)
	return err
}

// ListUsers returns a page of users, newest first, without their address
// books: one call of auth and one query, however many there are.
func (s *Service) ListUsers(ctx context.Context, query AccountQuery) ([]User, string, error) {
	accounts, next, err := s.accounts.Accounts(ctx, query)
	if err != nil || len(accounts) == 0 {
		return nil, next, err
	}
	ids := make([]uuid.UUID, len(accounts))
	for i, account := range accounts {
		ids[i] = account.ID
	}
	profiles, err := s.store.Profiles(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	users := make([]User, len(accounts))
	for i, account := range accounts {
		profile, ok := profiles[account.ID]
		if !ok {
			profile = Profile{ID: account.ID, DisplayName: account.DisplayName, Version: 1, CreateTime: account.CreateTime, UpdateTime: account.CreateTime}
		}
		users[i] = User{Account: account, Profile: profile}
	}
	return users, next, nil
}
