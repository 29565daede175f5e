package postgres_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/commercestack/commercestack/internal/pgtest"
)

func TestUUIDsGoAndComeAsTheyAre(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "order", nil)
	id, other := uuid.New(), uuid.New()
	var (
		one, fromText uuid.UUID
		text          string
		many          []uuid.UUID
		null, pointer *uuid.UUID
	)
	err := db.Pool().QueryRow(t.Context(), `SELECT $1::uuid, $1::uuid::text, $2::uuid[], NULL::uuid, $3::uuid, $4::text`,
		id, []uuid.UUID{id, other}, &other, other).Scan(&one, &text, &many, &null, &pointer, &fromText)
	if err != nil {
		t.Fatal(err)
	}
	if one != id || text != id.String() || null != nil || pointer == nil || *pointer != other || fromText != other {
		t.Errorf("%s %s %v %v %s", one, text, null, pointer, fromText)
	}
	if diff := cmp.Diff([]uuid.UUID{id, other}, many); diff != "" {
		t.Error(diff)
	}
	// The driver of database/sql takes the same connections.
	if err := db.SQL().QueryRowContext(t.Context(), `SELECT $1::uuid, $2::uuid[]::text`, id, []uuid.UUID{other}).Scan(&one, &text); err != nil {
		t.Fatal(err)
	}
	if one != id || text != "{"+other.String()+"}" {
		t.Errorf("%s %s", one, text)
	}
}

// BenchmarkUUID holds what an id costs to the price of its bytes.
func BenchmarkUUID(b *testing.B) {
	db := pgtest.New(b, "order", nil)
	id := uuid.New()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := db.Pool().Exec(b.Context(), `SELECT $1::uuid, $2::uuid[]`, id, []uuid.UUID{id}); err != nil {
			b.Fatal(err)
		}
	}
}
