package rpc

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	typev1 "github.com/commercestack/commercestack/api/gen/commerce/type/v1"
	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/services/user"
)

// fromID parses what the contract's validation let through. Anything else is the zero id, which nothing has.
func fromID(text string) uuid.UUID {
	id, _ := uuid.Parse(text)
	return id
}

func toProto(u user.User) *userv1.User {
	return &userv1.User{
		Id: u.Account.ID.String(), Email: u.Account.Email, EmailVerified: u.Account.EmailVerified,
		DisplayName: u.Profile.DisplayName, Phone: u.Profile.Phone, Locale: u.Profile.Locale,
		Roles: u.Account.Roles, Disabled: u.Account.Disabled,
		CreateTime: timestamppb.New(u.Account.CreateTime), UpdateTime: timestamppb.New(u.Profile.UpdateTime),
		Etag: u.Profile.Etag(), Addresses: toProtoBook(u.Addresses),
	}
}

func toProtoBook(book []user.Address) []*userv1.SavedAddress {
	saved := make([]*userv1.SavedAddress, len(book))
	for i, address := range book {
		saved[i] = toProtoAddress(address)
	}
	return saved
}

func toProtoAddress(a user.Address) *userv1.SavedAddress {
	return &userv1.SavedAddress{
		Id: a.ID.String(), IsDefault: a.IsDefault,
		Address: &typev1.Address{
			Recipient: a.Postal.Recipient, Line1: a.Postal.Line1, Line2: a.Postal.Line2, City: a.Postal.City,
			Region: a.Postal.Region, PostalCode: a.Postal.PostalCode, CountryCode: a.Postal.CountryCode, Phone: a.Postal.Phone,
		},
	}
}

func fromProtoPostal(a *typev1.Address) user.Postal {
	return user.Postal{
		Recipient: a.GetRecipient(), Line1: a.GetLine1(), Line2: a.GetLine2(), City: a.GetCity(),
		Region: a.GetRegion(), PostalCode: a.GetPostalCode(), CountryCode: a.GetCountryCode(), Phone: a.GetPhone(),
	}
}

// document is the JSON of an export.
type document struct {
	ExportTime     time.Time         `json:"exportTime"`
	User           json.RawMessage   `json:"user"`
	Sessions       []json.RawMessage `json:"sessions"`
	Orders         []json.RawMessage `json:"orders"`
	Invoices       []json.RawMessage `json:"invoices"`
	BillingProfile json.RawMessage   `json:"billingProfile,omitempty"`
}

func toDocument(e user.Export) ([]byte, error) {
	person, err := protojson.Marshal(toProto(e.User))
	if err != nil {
		return nil, fmt.Errorf("encode export: %w", err)
	}
	encoded, err := json.MarshalIndent(document{
		ExportTime: e.Time.UTC(), User: person, Sessions: orEmpty(e.Sessions), Orders: orEmpty(e.Orders),
		Invoices: orEmpty(e.Invoices), BillingProfile: e.BillingProfile,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode export: %w", err)
	}
	return encoded, nil
}

// orEmpty makes "nothing" an empty list, which readers need not treat specially.
func orEmpty(list []json.RawMessage) []json.RawMessage {
	if list == nil {
		return []json.RawMessage{}
	}
	return list
}
