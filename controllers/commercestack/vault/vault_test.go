package vault_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/controllers/rotation"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/identity"
)

var (
	now = time.Unix(1_800_000_000, 0).UTC()

	secrets = []vault.Secret{
		{Name: vault.LoginName("order"), Kind: rotation.KindLogin},
		{Name: vault.LoginName("user"), Kind: rotation.KindLogin},
		{Name: vault.NameRedis, Kind: rotation.KindCacheLogin},
		{Name: vault.NameIdentity, Kind: rotation.KindIdentityKeys},
		{Name: vault.NameEncryption, Kind: rotation.KindEncryptionKeys},
		{Name: vault.NameSigning, Kind: rotation.KindSigningKeys},
		{Name: vault.NameWebhook, Kind: rotation.KindWebhook, Offered: []byte("whsec_1")},
	}
	wanted = vault.Wanted{Secrets: secrets, Since: now, Now: now, AdminEmail: "admin@shop.example", Simulated: true}
)

func complete(t *testing.T, old map[string][]byte, w vault.Wanted) (map[string][]byte, bool) {
	t.Helper()
	data, changed, err := vault.Complete(old, w)
	if err != nil {
		t.Fatal(err)
	}
	return data, changed
}

func equal(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

func stateOf(t *testing.T, data map[string][]byte, secret string) rotation.State {
	t.Helper()
	states, err := vault.Open(data).States()
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range states {
		if state.Secret == secret {
			return state
		}
	}
	t.Fatalf("no state of %s", secret)
	return rotation.State{}
}

func TestCompleteAddsAndNeverReplaces(t *testing.T) {
	t.Parallel()
	full, changed := complete(t, nil, wanted)
	if !changed {
		t.Fatal("an empty vault was complete")
	}
	later := wanted
	later.AdminEmail, later.Now, later.Since = "other@shop.example", now.Add(time.Hour), now.Add(time.Hour)
	if again, changed := complete(t, full, later); changed || !equal(again, full) {
		t.Error("a complete vault was changed")
	}
	for _, key := range []string{"postgres.password", "redis.password", "admin.email", "admin.password", "stripe.secret-key", "stripe.webhook-secret"} {
		without := maps.Clone(full)
		delete(without, key)
		repaired, changed := complete(t, without, wanted)
		if !changed || len(repaired[key]) == 0 {
			t.Errorf("%s was not added", key)
		}
		for other := range without {
			if string(repaired[other]) != string(full[other]) {
				t.Errorf("adding %s replaced %s", key, other)
			}
		}
	}
	more := wanted
	more.Secrets = append(slices.Clone(secrets), vault.Secret{Name: vault.LoginName("billing"), Kind: rotation.KindLogin})
	if grown, changed := complete(t, full, more); !changed || len(grown["login.billing.1a"]) == 0 || string(grown["login.order.1a"]) != string(full["login.order.1a"]) {
		t.Error("a newer operator's secret was not added, or replaced another")
	}
}

// A value that consumers have is not made anew: they would be locked out, and
// what was sealed with it be lost.
func TestALostVersionIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	full, _ := complete(t, nil, wanted)
	for _, key := range []string{"login.order.1a", "redis.1a", "identity.1", "encryption.1"} {
		without := maps.Clone(full)
		delete(without, key)
		if _, _, err := vault.Complete(without, wanted); !errors.Is(err, vault.ErrBroken) {
			t.Errorf("without %s: %v", key, err)
		}
	}
	broken := maps.Clone(full)
	broken["rotation.states"] = []byte(`[{"secret":"whsec_secret`)
	if _, _, err := vault.Complete(broken, wanted); !errors.Is(err, vault.ErrBroken) || strings.Contains(err.Error(), "whsec") {
		t.Errorf("states that cannot be read: %v", err)
	}
}

func TestValuesAreOfTheProgramsFormats(t *testing.T) {
	t.Parallel()
	data, _ := complete(t, nil, wanted)
	v := vault.Open(data)
	if _, err := identity.ParseKeys(data["identity.1"]); err != nil {
		t.Error(err)
	}
	if _, err := crypto.ParseKeyring(data["encryption.1"]); err != nil {
		t.Error(err)
	}
	for _, name := range []string{vault.LoginName("order"), vault.NameRedis} {
		state := stateOf(t, data, name)
		password := string(v.Value(state, state.Active))
		if state.Active != "1a" || len(password) < 32 || url.QueryEscape(password) != password {
			t.Errorf("%s is version %s and needs escaping or is short", name, state.Active)
		}
	}
	other, _ := complete(t, nil, wanted)
	fixed := []string{"admin.email", "login.order.active", "login.user.active", "rotation.states", "webhook." + string(secrets[6].OfferedID())}
	for key := range data {
		if !slices.Contains(fixed, key) && string(data[key]) == string(other[key]) {
			t.Errorf("%s is the same in two vaults", key)
		}
	}
}

// legacy is a vault of an operator that did not rotate.
func legacy() map[string][]byte {
	return map[string][]byte{
		"login.order.a": []byte("order-a"), "login.order.b": []byte("order-b"), "login.order.active": []byte("a"),
		"login.user.a": []byte("user-a"), "login.user.b": []byte("user-b"), "login.user.active": []byte("b"),
		"postgres.password": []byte("super"), "redis.password": []byte("cache"),
		"identity.keys": []byte("i1:AAAA\n"), "encryption.keys": []byte("# kept by hand\ne1:AAAA"),
		"admin.email": []byte("admin@shop.example"), "admin.password": []byte("admin"),
		"stripe.secret-key": []byte("sk_test_1"), "stripe.webhook-secret": []byte("whsec_sim"),
	}
}

func TestAnOlderVaultIsCarriedOver(t *testing.T) {
	t.Parallel()
	old := legacy()
	w := wanted
	w.Since, w.Now = now.Add(-2400*time.Hour), now
	data, changed := complete(t, old, w)
	if !changed || !equal(old, legacy()) {
		t.Fatal("it was not changed, or changed in place")
	}
	v := vault.Open(data)
	for name, want := range map[string]string{
		vault.LoginName("order"): "1a order-a", vault.LoginName("user"): "1b user-b", vault.NameIdentity: "1 i1:AAAA\n",
		vault.NameEncryption: "1 # kept by hand\ne1:AAAA", vault.NameWebhook: string(secrets[6].OfferedID()) + " whsec_1",
	} {
		state := stateOf(t, data, name)
		if got := string(state.Active) + " " + string(v.Keys(state, state.Content())); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
		if since := state.ActiveSince; name != vault.NameWebhook && !since.Equal(w.Since) {
			t.Errorf("%s is in use since %s", name, since)
		}
	}
	if state := stateOf(t, data, vault.NameRedis); !state.ActiveSince.Equal(now) || len(v.Value(state, "1a")) == 0 {
		t.Errorf("what the older operator did not have: %+v", state)
	}
	if _, changed := complete(t, data, w); changed {
		t.Error("it is carried over twice")
	}
}

// An operator that does not rotate finds the logins and keys of today under its own keys.
func TestAnOlderOperatorFindsWhatIsInUse(t *testing.T) {
	t.Parallel()
	data, _ := complete(t, legacy(), wanted)
	v := vault.Open(data)
	order, keys := secrets[0], secrets[4]
	state, sealed := stateOf(t, data, order.Name), stateOf(t, data, keys.Name)
	state.Next, state.Stage, state.Serial = "2b", rotation.StagePromoting, 2
	sealed.Next, sealed.Stage, sealed.Serial = "2", rotation.StageIntroducing, 2
	v = v.With(order, rotation.Effect{Kind: rotation.EffectGenerate, Version: "2b"})
	v = v.With(keys, rotation.Effect{Kind: rotation.EffectGenerate, Version: "2"})
	v, err := v.WithStates([]rotation.State{state, sealed})
	if err != nil {
		t.Fatal(err)
	}
	got := v.Data()
	if string(got["login.order.active"]) != "b" || string(got["login.order.b"]) != string(got["login.order.2b"]) || len(got["login.order.a"]) != 0 {
		t.Error("it logs in as somebody else")
	}
	if want := "# kept by hand\ne1:AAAA\n" + string(got["encryption.2"]); string(got["encryption.keys"]) != want {
		t.Error("it has other keys")
	}
}

func TestEffects(t *testing.T) {
	t.Parallel()
	data, _ := complete(t, nil, wanted)
	keys, webhook := secrets[4], secrets[6]
	state := stateOf(t, data, keys.Name)
	v := vault.Open(data).With(keys, rotation.Effect{Kind: rotation.EffectGenerate, Version: "2"})
	value := v.Value(state, "2")
	if again := v.With(keys, rotation.Effect{Kind: rotation.EffectGenerate, Version: "2"}); len(value) == 0 || !bytes.Equal(again.Value(state, "2"), value) {
		t.Error("a version was made twice")
	}
	if !slices.Equal(v.Versions(state), []rotation.ID{"1", "2"}) || !bytes.HasPrefix(v.Keys(state, rotation.Content{Use: "2", Accept: "1"}), value) {
		t.Errorf("versions %v", v.Versions(state))
	}
	archived := v.With(keys, rotation.Effect{Kind: rotation.EffectArchive, Version: "1"})
	if !slices.Equal(archived.Versions(state), []rotation.ID{"2"}) || string(archived.Data()["archive.encryption.1"]) != string(data["encryption.1"]) {
		t.Error("an archived key is lost, or still there for consumers")
	}
	erased := v.With(keys, rotation.Effect{Kind: rotation.EffectErase, Version: "1"})
	if slices.Contains(slices.Collect(maps.Keys(erased.Data())), "archive.encryption.1") || !slices.Equal(erased.Versions(state), []rotation.ID{"2"}) {
		t.Error("an erased version is still there")
	}
	old := stateOf(t, data, webhook.Name)
	webhook.Offered = []byte("whsec_2")
	adopted := v.With(webhook, rotation.Effect{Kind: rotation.EffectAdopt, Version: webhook.OfferedID()})
	if got := string(adopted.List(old, rotation.Content{Use: webhook.OfferedID(), Accept: old.Active})); got != "whsec_2,whsec_1" {
		t.Errorf("the list is %q", got)
	}
	other := adopted.With(webhook, rotation.Effect{Kind: rotation.EffectAdopt, Version: "0123456789"})
	if len(other.Value(old, "0123456789")) != 0 {
		t.Error("a value was adopted under the name of another")
	}
	if raw, err := json.Marshal(old); err != nil || bytes.Contains(raw, []byte("whsec")) {
		t.Error("a state holds a value")
	}
}
