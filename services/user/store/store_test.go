package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/ent/user/migrations"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	domain "github.com/commercestack/commercestack/services/user"
	"github.com/commercestack/commercestack/services/user/store"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// vault is a sealer whose keys can be lost.
type vault struct {
	lost   bool
	opened []byte
}

var errLost = errors.New("the key is lost")

func (v *vault) Seal(plaintext, _ []byte) ([]byte, error) {
	if v.lost {
		return nil, errLost
	}
	return append([]byte("sealed:"), plaintext...), nil
}

func (v *vault) Open(sealed, _ []byte) ([]byte, error) {
	if v.lost {
		return nil, errLost
	}
	if v.opened != nil {
		return v.opened, nil
	}
	return sealed[len("sealed:"):], nil
}

func TestLostKeysAreErrorsAndNeverEmptyFields(t *testing.T) {
	t.Parallel()
	db, keys := pgtest.New(t, "user", migrations.FS), &vault{}
	s := store.New(db, keys)
	profile := domain.Profile{ID: uuid.New(), Phone: "+43 1 234567", Version: 1, CreateTime: time.Now(), UpdateTime: time.Now()}
	address := domain.Address{ID: uuid.New(), UserID: profile.ID, CreateTime: time.Now()}
	writes := map[string]func(ctx context.Context, tx domain.Tx) error{
		"profile":        func(ctx context.Context, tx domain.Tx) error { return tx.UpdateProfile(ctx, profile) },
		"new address":    func(ctx context.Context, tx domain.Tx) error { return tx.InsertAddress(ctx, address) },
		"change address": func(ctx context.Context, tx domain.Tx) error { return tx.UpdateAddress(ctx, address, time.Now()) },
	}
	in := func(body func(ctx context.Context, tx domain.Tx) error) error { return s.InTx(t.Context(), body) }
	if err := in(func(ctx context.Context, tx domain.Tx) error {
		return errors.Join(tx.CreateProfile(ctx, profile), tx.UpdateProfile(ctx, profile), tx.InsertAddress(ctx, address))
	}); err != nil {
		t.Fatal(err)
	}
	keys.lost = true
	for name, write := range writes {
		if err := in(write); !errors.Is(err, errLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	reads := map[string]func() error{
		"profile":  func() error { _, err := s.Profile(t.Context(), profile.ID); return err },
		"profiles": func() error { _, err := s.Profiles(t.Context(), []uuid.UUID{profile.ID}); return err },
		"book":     func() error { _, err := s.Addresses(t.Context(), profile.ID); return err },
	}
	for name, read := range reads {
		if err := read(); !errors.Is(err, errLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	keys.lost, keys.opened = false, []byte("{")
	if err := reads["book"](); err == nil {
		t.Error("a damaged address is shown")
	}
}

func TestTheDatabaseHoldsTheInvariants(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "user", migrations.FS)
	id := uuid.New()
	_, err := db.Pool().Exec(t.Context(), `INSERT INTO profile (id, create_time, update_time) VALUES ($1, now(), now())`, id)
	if err != nil {
		t.Fatal(err)
	}
	insert := `INSERT INTO address (id, user_id, sealed, is_default, create_time, update_time) VALUES (gen_random_uuid(), $1, 'x', true, now(), now())`
	if _, err := db.Pool().Exec(t.Context(), insert, id); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool().Exec(t.Context(), insert, id); !postgres.IsUnique(err, "address_one_default") {
		t.Errorf("two defaults: %v", err)
	}
	if _, err := db.Pool().Exec(t.Context(), insert, uuid.New()); !postgres.IsForeignKey(err, "") {
		t.Errorf("an address of nobody: %v", err)
	}
	if _, err := db.Pool().Exec(t.Context(), "UPDATE profile SET version = 0"); !postgres.IsCheck(err, "profile_version_min") {
		t.Errorf("version 0: %v", err)
	}
}
