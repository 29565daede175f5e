package vault_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/commercestack/commercestack/controllers/commercestack/vault"
	"github.com/commercestack/commercestack/controllers/rotation"
)

func TestValuesOfAStoreAreChecked(t *testing.T) {
	t.Parallel()
	key := func(id string, n int) string { return id + ":" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	data, _ := complete(t, nil, wanted)
	v := vault.Open(data)
	used := strings.TrimSpace(string(data["encryption.1"]))
	id, _, _ := strings.Cut(used, ":")
	archived := v.With(secrets[4], rotation.Effect{Kind: rotation.EffectArchive, Version: "1"})
	for name, c := range map[string]struct {
		v     vault.Vault
		at    int
		value string
		good  bool
	}{
		"a password":                    {v, 0, "a-password.of_the~store", true},
		"a short password":              {v, 0, "SECRETshort", false},
		"a password that needs escapes": {v, 0, "SECRET with/spaces@and:more", false},
		"a password of Redis":           {v, 2, "a-password.of_the~store", true},
		"a line after a password":       {v, 2, "a-password.of_the~store\nuser default on", false},
		"a key":                         {v, 3, key("new", 32), true},
		"the key in use":                {v, 4, used, true},
		"a key that is too short":       {v, 4, key("SECRET", 16), false},
		"no key":                        {v, 3, "SECRET", false},
		"two keys":                      {v, 3, key("one", 32) + "\n" + key("two", 32), false},
		"another key under the same id": {v, 4, key(id, 32), false},
		"the id of a key of backups":    {archived, 4, key(id, 32), false},
		"what auth makes":               {v, 5, key("SECRET", 32), false},
	} {
		err := c.v.Check(stateOf(t, data, secrets[c.at].Name), secrets[c.at].Kind, []byte(c.value))
		if (err == nil) != c.good || (err != nil && strings.Contains(err.Error(), "SECRET")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a store has is never made: without a value there is none.
func TestWhatAStoreHasIsNotMade(t *testing.T) {
	t.Parallel()
	stored := secrets[0]
	stored.Stored = true
	empty := vault.Open(map[string][]byte{})
	effect := rotation.Effect{Kind: rotation.EffectGenerate, Version: "2b"}
	if got := empty.With(stored, effect).Data(); len(got) != 0 {
		t.Error("a value was made")
	}
	stored.Given = []byte("a-password.of_the~store")
	if got := empty.With(stored, effect).Data(); string(got["login.order.2b"]) != "a-password.of_the~store" {
		t.Error("the store's value was not taken")
	}
	w := wanted
	w.Secrets = []vault.Secret{stored}
	if data, _ := complete(t, nil, w); string(data["login.order.1a"]) != "a-password.of_the~store" {
		t.Error("the first version is not the store's")
	}
}
