package reseal_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/pgtest"
	"github.com/commercestack/commercestack/internal/postgres"
	"github.com/commercestack/commercestack/internal/reseal"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var migrations = fstest.MapFS{"00001_notes.sql": {Data: []byte(`-- +goose Up
CREATE TABLE note (shelf text NOT NULL, place bigint NOT NULL, secret bytea, PRIMARY KEY (shelf, place));
CREATE TABLE task (id bigint PRIMARY KEY, kind text NOT NULL, args jsonb NOT NULL);
-- +goose Down
DROP TABLE note;
`)}}

var (
	notes = reseal.Column{
		Table: "note", Name: "secret", Key: []string{"shelf", "place"},
		AssociatedData: func(bind []string) []byte { return []byte(bind[0] + "/" + bind[1]) },
	}
	tasks = reseal.Column{
		Table: "task", Name: "args", JSON: "sealed", Where: "kind = 'sealed'", Key: []string{"id"}, Bind: []string{"(args->>'name')"},
		AssociatedData: func(bind []string) []byte { return []byte(bind[0]) },
	}
)

func newKey(t *testing.T, id string) crypto.Key {
	t.Helper()
	key, err := crypto.GenerateKey(id)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRing(t *testing.T, keys ...crypto.Key) *crypto.Keyring {
	t.Helper()
	ring, err := crypto.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func exec(t *testing.T, db *postgres.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.Pool().Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func seal(t *testing.T, ring *crypto.Keyring, text, place string) []byte {
	t.Helper()
	sealed, err := ring.Seal([]byte(text), []byte(place))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// TestEveryFieldIsSealedAnew goes through more rows than a batch has, with
// keys that are awkward as text, while others write with the new key.
func TestEveryFieldIsSealedAnew(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "reseal", migrations)
	oldKey, newer := newKey(t, "old"), newKey(t, "new")
	before, after, alone := newRing(t, oldKey), newRing(t, newer, oldKey), newRing(t, newer)
	const rows = 450
	shelf := func(i int) string { return []string{"a", "b'c", `d"\e`, "ü$1"}[i%4] }
	place := func(i int) string { return fmt.Sprintf("%s/%d", shelf(i), i) }
	for i := range rows {
		exec(t, db, "INSERT INTO note VALUES ($1, $2, $3)", shelf(i), i, seal(t, before, "first", place(i)))
	}
	exec(t, db, "INSERT INTO note VALUES ('none', 1, NULL), ('none', 2, $1)", seal(t, after, "kept", "none/2"))
	exec(t, db, `INSERT INTO task SELECT n, 'sealed', jsonb_build_object('name', 'n' || n, 'other', 7) FROM generate_series(1, 3) n`)
	for i := 1; i <= 2; i++ {
		exec(t, db, "UPDATE task SET args = args || jsonb_build_object('sealed', translate(encode($1, 'base64'), E'\\n', '')) WHERE id = $2",
			seal(t, before, "a task with a text that is long enough for base64 to break its lines", fmt.Sprintf("n%d", i)), i)
	}
	exec(t, db, `INSERT INTO task VALUES (9, 'other', '{"sealed": "of others"}')`)

	var writing sync.WaitGroup
	written := map[int]bool{}
	writing.Go(func() {
		for i := 0; i < rows; i += 3 {
			sealed, err := after.Seal([]byte("second"), []byte(place(i)))
			if err == nil {
				_, err = db.Pool().Exec(context.WithoutCancel(t.Context()), "UPDATE note SET secret = $1 WHERE shelf = $2 AND place = $3", sealed, shelf(i), i)
			}
			if err != nil {
				t.Error(err)
			}
			written[i] = true
		}
	})
	for _, column := range []reseal.Column{notes, tasks, notes} {
		if left, err := reseal.Run(t.Context(), db.Pool(), after, column); err != nil || left != 0 {
			t.Errorf("%s: %d are left (%v)", column.Table, left, err)
		}
	}
	writing.Wait()
	for i := range rows {
		var sealed []byte
		if err := db.Pool().QueryRow(t.Context(), "SELECT secret FROM note WHERE shelf = $1 AND place = $2", shelf(i), i).Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		want := "first"
		if written[i] {
			want = "second"
		}
		if plain, err := alone.Open(sealed, []byte(place(i))); err != nil || string(plain) != want {
			t.Fatalf("row %d has %q (%v), want %q", i, plain, err, want)
		}
	}
	for i := 1; i <= 2; i++ {
		var sealed []byte
		var other int
		if err := db.Pool().QueryRow(t.Context(), "SELECT decode(args->>'sealed', 'base64'), (args->>'other')::int FROM task WHERE id = $1", i).Scan(&sealed, &other); err != nil {
			t.Fatal(err)
		}
		if plain, err := alone.Open(sealed, fmt.Appendf(nil, "n%d", i)); err != nil || !bytes.HasPrefix(plain, []byte("a task")) || other != 7 {
			t.Errorf("task %d has %q, %d (%v)", i, plain, other, err)
		}
	}
}

// TestWhatDoesNotOpenIsLeft: fields of a key that is gone and damaged ones are
// counted, the others go on, and a run that was cut off goes on where it was.
func TestWhatDoesNotOpenIsLeft(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "reseal", migrations)
	oldKey, newer := newKey(t, "old"), newKey(t, "new")
	before, after := newRing(t, oldKey), newRing(t, newer, oldKey)
	exec(t, db, "INSERT INTO note VALUES ('x', 1, $1), ('x', 2, $2), ('x', 3, $3), ('x', 4, $4)", seal(t, newRing(t, newKey(t, "gone")), "1", "x/1"),
		seal(t, before, "2", "elsewhere"), []byte("never sealed"), seal(t, before, "4", "x/4"))
	left, err := reseal.Run(t.Context(), db.Pool(), after, notes)
	if err != nil || left != 3 {
		t.Errorf("%d are left (%v)", left, err)
	}
	var sealed []byte
	if err := db.Pool().QueryRow(t.Context(), "SELECT secret FROM note WHERE place = 4").Scan(&sealed); err != nil || after.NeedsReseal(sealed) {
		t.Errorf("the good one behind the bad ones was left too (%v)", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := reseal.Run(over, db.Pool(), after, notes); err == nil {
		t.Error("a run that was cut off says that it is done")
	}
	if id := reseal.ID([]string{"no id"}); id.String() != "00000000-0000-0000-0000-000000000000" {
		t.Errorf("no id is %s", id)
	}
}
