package store

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/user"
	"github.com/commercestack/commercestack/internal/postgres"
	domain "github.com/commercestack/commercestack/services/user"
)

// codec turns rows into the domain's values and back. What it seals is bound
// to its row, so a value copied to another row does not open.
type codec struct{ sealer Sealer }

func phoneOf(id uuid.UUID) []byte   { return []byte("user/profile/phone/" + id.String()) }
func addressOf(id uuid.UUID) []byte { return []byte("user/address/" + id.String()) }

// postal is the stored form of an address.
type postal struct {
	Recipient   string `json:"recipient"`
	Line1       string `json:"line1"`
	Line2       string `json:"line2,omitempty"`
	City        string `json:"city"`
	Region      string `json:"region,omitempty"`
	PostalCode  string `json:"postalCode,omitempty"`
	CountryCode string `json:"countryCode"`
	Phone       string `json:"phone,omitempty"`
}

func (c codec) sealPhone(id uuid.UUID, phone string) ([]byte, error) {
	sealed, err := c.sealer.Seal([]byte(phone), phoneOf(id))
	if err != nil {
		return nil, fmt.Errorf("seal phone: %w", err)
	}
	return sealed, nil
}

func (c codec) sealAddress(a domain.Address) ([]byte, error) {
	plain, err := json.Marshal(postal(a.Postal))
	if err != nil {
		return nil, fmt.Errorf("encode address: %w", err)
	}
	sealed, err := c.sealer.Seal(plain, addressOf(a.ID))
	if err != nil {
		return nil, fmt.Errorf("seal address: %w", err)
	}
	return sealed, nil
}

func (c codec) oneProfile(row *user.Profile, err error) (domain.Profile, error) {
	if user.IsNotFound(err) {
		return domain.Profile{}, domain.ErrUserNotFound
	}
	if err != nil {
		return domain.Profile{}, postgres.Fault(err)
	}
	return c.fromProfileRow(row)
}

func (c codec) fromProfileRow(row *user.Profile) (domain.Profile, error) {
	p := domain.Profile{
		ID: row.ID, DisplayName: row.DisplayName, Locale: row.Locale,
		Version: row.Version, CreateTime: row.CreateTime, UpdateTime: row.UpdateTime,
	}
	if len(row.PhoneSealed) > 0 {
		phone, err := c.sealer.Open(row.PhoneSealed, phoneOf(row.ID))
		if err != nil {
			return domain.Profile{}, fmt.Errorf("open phone of profile %s: %w", row.ID, err)
		}
		p.Phone = string(phone)
	}
	return p, nil
}

func (c codec) fromAddressRow(row *user.Address) (domain.Address, error) {
	plain, err := c.sealer.Open(row.Sealed, addressOf(row.ID))
	if err != nil {
		return domain.Address{}, fmt.Errorf("open address %s: %w", row.ID, err)
	}
	var stored postal
	if err := json.Unmarshal(plain, &stored); err != nil {
		return domain.Address{}, fmt.Errorf("decode address %s: %w", row.ID, err)
	}
	return domain.Address{
		ID: row.ID, UserID: row.UserID, Postal: domain.Postal(stored), IsDefault: row.IsDefault, CreateTime: row.CreateTime,
	}, nil
}
