package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/user"
	"github.com/commercestack/commercestack/ent/user/address"
	"github.com/commercestack/commercestack/ent/user/profile"
	"github.com/commercestack/commercestack/internal/inbox"
	"github.com/commercestack/commercestack/internal/postgres"
	domain "github.com/commercestack/commercestack/services/user"
)

// tx implements the domain's Tx.
type tx struct {
	*postgres.Tx

	client *user.Client
	codec  codec
}

// CreateProfile and EraseProfile take the same lock, so that the look at the
// tombstone and the insert are one step.
func (t *tx) lock(ctx context.Context, id uuid.UUID) error {
	_, err := t.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "user.profile/"+id.String())
	return err
}

func (t *tx) CreateProfile(ctx context.Context, p domain.Profile) error {
	if err := t.lock(ctx, p.ID); err != nil {
		return err
	}
	_, err := t.ExecContext(ctx, `INSERT INTO profile (id, display_name, locale, version, create_time, update_time)
		SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT FROM erased_user WHERE id = $1)
		ON CONFLICT (id) DO NOTHING`, p.ID, p.DisplayName, p.Locale, p.Version, p.CreateTime, p.UpdateTime)
	return err
}

func (t *tx) LockProfile(ctx context.Context, id uuid.UUID) (domain.Profile, error) {
	row, err := t.client.Profile.Query().Where(profile.ID(id)).ForUpdate().Only(ctx)
	return t.codec.oneProfile(row, err)
}

func (t *tx) UpdateProfile(ctx context.Context, p domain.Profile) error {
	update := t.client.Profile.UpdateOneID(p.ID).SetDisplayName(p.DisplayName).SetLocale(p.Locale).
		SetVersion(p.Version).SetUpdateTime(p.UpdateTime)
	if p.Phone == "" {
		return update.ClearPhoneSealed().Exec(ctx)
	}
	sealed, err := t.codec.sealPhone(p.ID, p.Phone)
	if err != nil {
		return err
	}
	return update.SetPhoneSealed(sealed).Exec(ctx)
}

func (t *tx) EraseProfile(ctx context.Context, id uuid.UUID, now time.Time) error {
	if err := t.lock(ctx, id); err != nil {
		return err
	}
	if _, err := t.ExecContext(ctx,
		"INSERT INTO erased_user (id, erase_time) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING", id, now); err != nil {
		return err
	}
	_, err := t.client.Profile.Delete().Where(profile.ID(id)).Exec(ctx) // the book goes with it
	return err
}

func (t *tx) Addresses(ctx context.Context, userID uuid.UUID) ([]domain.Address, error) {
	return t.codec.addresses(ctx, t.client, userID)
}

func (t *tx) InsertAddress(ctx context.Context, a domain.Address) error {
	sealed, err := t.codec.sealAddress(a)
	if err != nil {
		return err
	}
	return t.client.Address.Create().SetID(a.ID).SetUserID(a.UserID).SetSealed(sealed).SetIsDefault(a.IsDefault).
		SetCreateTime(a.CreateTime).SetUpdateTime(a.CreateTime).Exec(ctx)
}

func (t *tx) UpdateAddress(ctx context.Context, a domain.Address, now time.Time) error {
	sealed, err := t.codec.sealAddress(a)
	if err != nil {
		return err
	}
	n, err := t.client.Address.Update().Where(address.ID(a.ID), address.UserID(a.UserID)).
		SetSealed(sealed).SetIsDefault(a.IsDefault).SetUpdateTime(now).Save(ctx)
	return found(n, err)
}

func (t *tx) DeleteAddress(ctx context.Context, userID, addressID uuid.UUID) error {
	n, err := t.client.Address.Delete().Where(address.ID(addressID), address.UserID(userID)).Exec(ctx)
	return found(n, err)
}

func found(rows int, err error) error {
	if err == nil && rows == 0 {
		return domain.ErrAddressNotFound
	}
	return err
}

func (t *tx) ClearDefault(ctx context.Context, userID uuid.UUID) error {
	return t.client.Address.Update().Where(address.UserID(userID), address.IsDefault(true)).SetIsDefault(false).Exec(ctx)
}

func (t *tx) Once(ctx context.Context, subscriber, eventID string) (bool, error) {
	return inbox.Once(ctx, t.Tx, subscriber, eventID)
}
