package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/user"
	"github.com/commercestack/commercestack/ent/user/address"
	"github.com/commercestack/commercestack/ent/user/profile"
	"github.com/commercestack/commercestack/internal/postgres"
	domain "github.com/commercestack/commercestack/services/user"
)

// Sealer encrypts fields, bound to what they belong to.
type Sealer interface {
	// Seal encrypts the plaintext.
	Seal(plaintext, associated []byte) ([]byte, error)
	// Open decrypts what Seal returned for the same associated bytes.
	Open(sealed, associated []byte) ([]byte, error)
}

// Store implements the domain's Store.
type Store struct {
	db     *postgres.DB
	client *user.Client
	codec  codec
}

// New returns a Store on the component's schema.
func New(db *postgres.DB, sealer Sealer) *Store {
	return &Store{db: db, client: user.NewClient(user.Driver(db.Driver())), codec: codec{sealer}}
}

// InTx runs body in one transaction.
func (s *Store) InTx(ctx context.Context, body func(context.Context, domain.Tx) error) error {
	return s.db.InTx(ctx, func(ctx context.Context, raw *postgres.Tx) error {
		return body(ctx, &tx{Tx: raw, client: user.NewClient(user.Driver(raw.Driver())), codec: s.codec})
	})
}

// Profile returns a profile.
func (s *Store) Profile(ctx context.Context, id uuid.UUID) (domain.Profile, error) {
	row, err := s.client.Profile.Get(ctx, id)
	return s.codec.oneProfile(row, err)
}

// Profiles returns the profiles there are of the ids.
func (s *Store) Profiles(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]domain.Profile, error) {
	rows, err := s.client.Profile.Query().Where(profile.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	profiles := make(map[uuid.UUID]domain.Profile, len(rows))
	for _, row := range rows {
		if profiles[row.ID], err = s.codec.fromProfileRow(row); err != nil {
			return nil, err
		}
	}
	return profiles, nil
}

// Addresses returns a person's address book, oldest first.
func (s *Store) Addresses(ctx context.Context, userID uuid.UUID) ([]domain.Address, error) {
	return s.codec.addresses(ctx, s.client, userID)
}

func (c codec) addresses(ctx context.Context, client *user.Client, userID uuid.UUID) ([]domain.Address, error) {
	rows, err := client.Address.Query().Where(address.UserID(userID)).Order(address.ByCreateTime(), address.ByID()).All(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	book := make([]domain.Address, len(rows))
	for i, row := range rows {
		if book[i], err = c.fromAddressRow(row); err != nil {
			return nil, err
		}
	}
	return book, nil
}
