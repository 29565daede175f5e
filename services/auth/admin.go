package auth

import (
	"context"
	"errors"
	"net/mail"
	"slices"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/fault"
)

// Account returns an account or ErrAccountNotFound.
func (s *Service) Account(ctx context.Context, id uuid.UUID) (Account, error) {
	return s.store.Account(ctx, id)
}

// ListAccounts returns a page of accounts, newest first.
func (s *Service) ListAccounts(ctx context.Context, query AccountQuery) ([]Account, error) {
	query.Text = NormalizeEmail(query.Text)
	return s.store.ListAccounts(ctx, query)
}

// SetRoles replaces the roles of an account and ends its sessions, whose tokens carry the old ones.
func (s *Service) SetRoles(ctx context.Context, id uuid.UUID, roles []string) (Account, error) {
	roles = slices.Clone(roles)
	slices.Sort(roles)
	roles = slices.Compact(roles)
	if len(roles) == 0 {
		return Account{}, fault.Invalid("roles", "must not be empty")
	}
	for _, role := range roles {
		if role != RoleAdmin && role != RoleUser {
			return Account{}, fault.Invalid("roles", "knows only %q and %q", RoleAdmin, RoleUser).WithField("roles", role)
		}
	}
	return s.changeAccount(ctx, id, func(a *Account) bool {
		changed := !slices.Equal(a.Roles, roles)
		a.Roles = roles
		return changed
	})
}

// SetDisabled forbids logins and ends all sessions, or lifts the ban.
func (s *Service) SetDisabled(ctx context.Context, id uuid.UUID, disabled bool) (Account, error) {
	return s.changeAccount(ctx, id, func(a *Account) bool {
		changed := a.Disabled != disabled
		a.Disabled = disabled
		return changed
	})
}

// changeAccount applies a change of rights unless it takes the shop its last administrator.
func (s *Service) changeAccount(ctx context.Context, id uuid.UUID, change func(*Account) bool) (Account, error) {
	var account Account
	err := s.endSessions(ctx, func(ctx context.Context, tx Tx) ([]uuid.UUID, error) {
		admins, err := tx.LockAdmins(ctx)
		if err != nil {
			return nil, err
		}
		if account, err = tx.LockAccount(ctx, id); err != nil {
			return nil, err
		}
		wasAdmin := account.Admin()
		if !change(&account) {
			return nil, nil
		}
		if wasAdmin && !account.Admin() && onlyAdmin(admins, id) {
			return nil, ErrLastAdmin
		}
		if err := tx.UpdateAccount(ctx, account, s.now()); err != nil {
			return nil, err
		}
		return tx.RevokeSessions(ctx, id, uuid.Nil, s.now())
	})
	return account, err
}

func onlyAdmin(admins []uuid.UUID, id uuid.UUID) bool {
	return len(admins) == 1 && admins[0] == id
}

// DeleteAccount erases an account and tells every component to erase what it
// holds of the person. An unknown account is already erased.
func (s *Service) DeleteAccount(ctx context.Context, id uuid.UUID) error {
	return s.endSessions(ctx, func(ctx context.Context, tx Tx) ([]uuid.UUID, error) {
		admins, err := tx.LockAdmins(ctx)
		if err != nil {
			return nil, err
		}
		if onlyAdmin(admins, id) {
			return nil, ErrLastAdmin
		}
		if _, err := tx.LockAccount(ctx, id); err != nil {
			if errors.Is(err, ErrAccountNotFound) {
				return nil, nil
			}
			return nil, err
		}
		ended, err := tx.DeleteAccount(ctx, id, s.now())
		if err != nil {
			return nil, err
		}
		return ended, tx.Publish(ctx, UserDeleted{UserID: id})
	})
}

// auditAdmin is the audit row of an operator who makes somebody an administrator.
const auditAdmin = "auth.admin_ensured"

// EnsureAdminInput names the administrator a shop must have.
type EnsureAdminInput struct {
	Email, Password string
	// KeepPassword leaves the password of an existing, verified account as it is.
	KeepPassword bool
}

// EnsureAdmin makes sure that the address has a verified, enabled account with
// the role admin and the password, and reports whether it had to create it.
func (s *Service) EnsureAdmin(ctx context.Context, in EnsureAdminInput) (created bool, err error) {
	email := NormalizeEmail(in.Email)
	if address, err := mail.ParseAddress(email); err != nil || address.Address != email {
		return false, fault.Invalid("email", "is not an email address").WithField("email", in.Email)
	}
	if err := checkNewPassword("password", in.Password, email); err != nil {
		return false, err
	}
	hash := ""
	existing, err := s.store.AccountByEmail(ctx, email)
	switch {
	case errors.Is(err, ErrAccountNotFound):
	case err != nil:
		return false, err
	default:
		// Whoever registered an address without proving it must not become its administrator.
		match := in.KeepPassword && existing.Verified()
		if !match {
			if match, _, err = s.hasher.Verify(ctx, in.Password, existing.PasswordHash); err != nil {
				return false, err
			}
		}
		if match {
			hash = existing.PasswordHash
		}
	}
	if hash == "" {
		if hash, err = s.hasher.Hash(ctx, in.Password); err != nil {
			return false, err
		}
	}
	err = s.endSessions(ctx, func(ctx context.Context, tx Tx) (ended []uuid.UUID, err error) {
		created, ended, err = s.ensureAdmin(ctx, tx, email, hash)
		return ended, err
	})
	return created, err
}

func (s *Service) ensureAdmin(ctx context.Context, tx Tx, email, hash string) (created bool, ended []uuid.UUID, err error) {
	now := s.now()
	account := Account{
		ID: uuid.Must(uuid.NewV7()), Email: email, DisplayName: "Administrator", PasswordHash: hash,
		EmailVerifiedTime: now, Roles: []string{RoleAdmin, RoleUser}, CreateTime: now,
	}
	created, err = tx.CreateAccount(ctx, account)
	if err != nil {
		return false, nil, err
	}
	if created {
		event := UserRegistered{UserID: account.ID, Email: email, DisplayName: account.DisplayName}
		if err := tx.Publish(ctx, event); err != nil {
			return false, nil, err
		}
		return true, nil, tx.Audit(ctx, auditAdmin, account.ID, nil)
	}
	if account, err = tx.LockAccountByEmail(ctx, email); err != nil {
		return false, nil, err
	}
	if account.Admin() && account.Verified() && account.PasswordHash == hash {
		return false, nil, nil
	}
	if !account.Verified() {
		account.EmailVerifiedTime = now
	}
	account.Disabled = false
	account.Roles = []string{RoleAdmin, RoleUser}
	if ended, err = s.setPassword(ctx, tx, account, hash, uuid.Nil); err != nil {
		return false, nil, err
	}
	return false, ended, tx.Audit(ctx, auditAdmin, account.ID, nil)
}
