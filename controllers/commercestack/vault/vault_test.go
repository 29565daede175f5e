package vault_test

import (
	"maps"
	"net/url"
	"slices"
	"testing"

	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/identity"
)

var wanted = vault.Wanted{Components: []string{"order", "user"}, AdminEmail: "admin@shop.example", Simulated: true}

func TestCompleteAddsAndNeverReplaces(t *testing.T) {
	t.Parallel()
	full, changed := vault.Complete(nil, wanted)
	if !changed {
		t.Fatal("an empty vault was complete")
	}
	again, changed := vault.Complete(full, vault.Wanted{Components: wanted.Components, AdminEmail: "other@shop.example", Simulated: true})
	if changed || !maps.EqualFunc(again, full, func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Error("a complete vault was changed")
	}
	for _, key := range slices.Sorted(maps.Keys(full)) {
		without := maps.Clone(full)
		delete(without, key)
		repaired, changed := vault.Complete(without, wanted)
		if !changed || len(repaired[key]) == 0 {
			t.Errorf("%s was not added", key)
		}
		for other := range without {
			if string(repaired[other]) != string(full[other]) {
				t.Errorf("adding %s replaced %s", key, other)
			}
		}
	}
}

func TestValuesAreOfTheProgramsFormats(t *testing.T) {
	t.Parallel()
	data, _ := vault.Complete(nil, wanted)
	v := vault.Open(data)
	if _, err := identity.ParseKeys(v.IdentityKeys()); err != nil {
		t.Error(err)
	}
	if _, err := crypto.ParseKeyring(v.EncryptionKeys()); err != nil {
		t.Error(err)
	}
	slot, password := v.Login("order")
	if slot != vault.SlotA || len(password) < 32 || url.QueryEscape(password) != password {
		t.Errorf("login in slot %q needs escaping or is short", slot)
	}
	other, _ := vault.Complete(nil, wanted)
	for key := range data {
		fixed := key == "admin.email" || key == "login.order.active" || key == "login.user.active"
		if !fixed && string(data[key]) == string(other[key]) {
			t.Errorf("%s is the same in two vaults", key)
		}
	}
}
