package user

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// roleAdmin is the role that an administrator cannot take from themself.
const roleAdmin = "admin"

// UpdateInput is a change of a user.
type UpdateInput struct {
	// ID is the user.
	ID uuid.UUID
	// Change is the change of the profile.
	Change Change
	// Etag refuses the change unless the profile has it; "" for no condition.
	Etag string
}

// Update changes a person's own profile.
func (s *Service) Update(ctx context.Context, in UpdateInput) (User, error) {
	if err := s.updateProfile(ctx, in); err != nil {
		return User{}, err
	}
	return s.User(ctx, in.ID)
}

func (s *Service) updateProfile(ctx context.Context, in UpdateInput) error {
	if err := in.Change.validate(); err != nil {
		return err
	}
	version, err := parseEtag(in.Etag)
	if err != nil {
		return err
	}
	if err := s.ensureProfile(ctx, in.ID); err != nil {
		return err
	}
	return s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		profile, err := tx.LockProfile(ctx, in.ID)
		if err != nil {
			return err
		}
		if version != 0 && version != profile.Version {
			return ErrStale
		}
		return tx.UpdateProfile(ctx, in.Change.apply(profile, s.now()))
	})
}

// AdminUpdateInput is an administrator's change of a user; nil fields stay as they are.
type AdminUpdateInput struct {
	UpdateInput

	// ActorID is the administrator.
	ActorID uuid.UUID
	// Roles replace the account's.
	Roles []string
	// Disabled forbids logins or lifts the ban.
	Disabled *bool
}

// AdminUpdate changes any user. The profile comes first: its etag guards the
// whole change, and the changes of rights behind it can be repeated.
func (s *Service) AdminUpdate(ctx context.Context, in AdminUpdateInput) (User, error) {
	if in.ID == in.ActorID && (in.Roles != nil && !slices.Contains(in.Roles, roleAdmin) || in.Disabled != nil && *in.Disabled) {
		return User{}, ErrOwnAccount
	}
	if err := s.updateProfile(ctx, in.UpdateInput); err != nil {
		return User{}, err
	}
	if in.Roles != nil {
		if _, err := s.accounts.SetRoles(ctx, in.ID, in.Roles); err != nil {
			return User{}, err
		}
	}
	if in.Disabled != nil {
		if _, err := s.accounts.SetDisabled(ctx, in.ID, *in.Disabled); err != nil {
			return User{}, err
		}
	}
	return s.User(ctx, in.ID)
}

// Delete erases a user. Auth erases the account and tells every component,
// this one too, to erase what it holds.
func (s *Service) Delete(ctx context.Context, id uuid.UUID) error {
	return s.accounts.Delete(ctx, id)
}
