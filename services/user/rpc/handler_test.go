package rpc

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	userv1 "github.com/commercestack/commercestack/api/gen/commerce/user/v1"
	"github.com/commercestack/commercestack/internal/fault"
)

// The access rules refuse a caller without login before a handler runs; a handler refuses once more.
func TestNobodyIsRefused(t *testing.T) {
	t.Parallel()
	h := NewHandler(nil, nil)
	for name, call := range map[string]func(context.Context) error{
		"GetMe":         func(ctx context.Context) error { _, err := h.GetMe(ctx, nil); return err },
		"UpdateMe":      func(ctx context.Context) error { _, err := h.UpdateMe(ctx, nil); return err },
		"DeleteMe":      func(ctx context.Context) error { _, err := h.DeleteMe(ctx, nil); return err },
		"ExportMe":      func(ctx context.Context) error { _, err := h.ExportMe(ctx, nil); return err },
		"ListAddresses": func(ctx context.Context) error { _, err := h.ListAddresses(ctx, nil); return err },
		"CreateAddress": func(ctx context.Context) error { _, err := h.CreateAddress(ctx, nil); return err },
		"UpdateAddress": func(ctx context.Context) error { _, err := h.UpdateAddress(ctx, nil); return err },
		"DeleteAddress": func(ctx context.Context) error { _, err := h.DeleteAddress(ctx, nil); return err },
		"UpdateUser":    func(ctx context.Context) error { _, err := h.UpdateUser(ctx, nil); return err },
	} {
		if err := call(t.Context()); !errors.Is(err, errNotLoggedIn) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFromMask(t *testing.T) {
	t.Parallel()
	message := &userv1.User{Id: "x", DisplayName: "Ada", Roles: []string{"admin"}, Disabled: true, Etag: "3"}
	tests := []struct {
		name    string
		paths   []string
		allowed map[string]bool
		refused string
	}{
		{"own fields", []string{"display_name", "phone", "locale", "etag"}, ownFields, ""},
		{"all fields of an administrator", []string{"display_name", "phone", "locale", "roles", "disabled"}, adminFields, ""},
		{"own roles", []string{"display_name", "roles"}, ownFields, "user.roles"},
		{"own ban", []string{"disabled"}, ownFields, "user.disabled"},
		{"a field of another owner", []string{"email_verified"}, adminFields, "user.emailVerified"},
		{"a field that is none", []string{"password"}, adminFields, "user.password"},
		{"a part of a field", []string{"addresses.address.line1"}, adminFields, "user.addresses.address.line1"},
		{"everything", []string{"*"}, adminFields, "user.*"},
		{"no mask takes what is set", nil, ownFields, "user.id"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := fromMask(message, &fieldmaskpb.FieldMask{Paths: test.paths}, test.allowed)
			if f := fault.From(err); (f != nil) != (test.refused != "") || f != nil && f.Field != test.refused {
				t.Fatalf("error = %v, want field %q", err, test.refused)
			}
			if test.refused == "" && (*got.profile.DisplayName != "Ada" || *got.profile.Phone != "") {
				t.Errorf("change = %+v", got)
			}
			if test.refused == "" && test.allowed["roles"] && (got.roles[0] != "admin" || !*got.disabled) {
				t.Errorf("change = %+v", got)
			}
		})
	}
	if _, err := fromMask(&userv1.User{}, &fieldmaskpb.FieldMask{Paths: []string{"roles"}}, adminFields); err == nil {
		t.Error("an account without roles")
	}
	if got, err := fromMask(&userv1.User{Locale: "de"}, nil, ownFields); err != nil || *got.profile.Locale != "de" || got.profile.Phone != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzFromMask(f *testing.F) {
	f.Add("display_name")
	f.Add("roles")
	f.Add("user..x")
	f.Fuzz(func(t *testing.T, path string) {
		got, err := fromMask(&userv1.User{Roles: []string{"admin"}, Disabled: true}, &fieldmaskpb.FieldMask{Paths: []string{path}}, ownFields)
		if got.roles != nil || got.disabled != nil {
			t.Errorf("%q changes rights", path)
		}
		if err == nil && path != "etag" && !ownFields[path] {
			t.Errorf("%q is accepted", path)
		}
	})
}
