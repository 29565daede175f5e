package user

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// maxAddresses bounds an address book, which is always shown as a whole.
const maxAddresses = 50

// Postal is a postal address.
type Postal struct {
	Recipient, Line1, Line2, City, Region, PostalCode, CountryCode, Phone string
}

// Address is an entry of an address book.
type Address struct {
	// ID of the entry.
	ID uuid.UUID
	// UserID is whose book it is in.
	UserID uuid.UUID
	// Postal is the address itself.
	Postal Postal
	// IsDefault marks the one offered first.
	IsDefault bool
	// CreateTime orders the book.
	CreateTime time.Time
}

// ListAddresses returns a person's address book, oldest first.
func (s *Service) ListAddresses(ctx context.Context, userID uuid.UUID) ([]Address, error) {
	return s.store.Addresses(ctx, userID)
}

// CreateAddress adds an entry. An entry with the id that is in the book already is returned as it is.
func (s *Service) CreateAddress(ctx context.Context, address Address) (Address, error) {
	if err := s.ensureProfile(ctx, address.UserID); err != nil {
		return Address{}, err
	}
	address.CreateTime = s.now()
	err := s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.LockProfile(ctx, address.UserID); err != nil {
			return err
		}
		book, err := tx.Addresses(ctx, address.UserID)
		if err != nil {
			return err
		}
		for _, known := range book {
			if known.ID == address.ID {
				address = known
				return nil
			}
		}
		if len(book) >= maxAddresses {
			return ErrAddressBookFull
		}
		return save(ctx, tx, address, tx.InsertAddress)
	})
	return address, err
}

// UpdateAddress replaces an entry of the person's book.
func (s *Service) UpdateAddress(ctx context.Context, address Address) (Address, error) {
	err := s.store.InTx(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.LockProfile(ctx, address.UserID); err != nil {
			return ErrAddressNotFound.WithCause(err)
		}
		return save(ctx, tx, address, func(ctx context.Context, a Address) error { return tx.UpdateAddress(ctx, a, s.now()) })
	})
	return address, err
}

// save writes the entry, taking the default from the others first when it is the new one.
func save(ctx context.Context, tx Tx, address Address, write func(context.Context, Address) error) error {
	if address.IsDefault {
		if err := tx.ClearDefault(ctx, address.UserID); err != nil {
			return err
		}
	}
	return write(ctx, address)
}

// DeleteAddress removes an entry of the person's book.
func (s *Service) DeleteAddress(ctx context.Context, userID, addressID uuid.UUID) error {
	return s.store.InTx(ctx, func(ctx context.Context, tx Tx) error { return tx.DeleteAddress(ctx, userID, addressID) })
}
