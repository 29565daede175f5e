package page_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/page"
)

type position struct {
	Name  string    `json:"n,omitempty"`
	Price int64     `json:"m,omitempty"`
	Time  time.Time `json:"t"`
	ID    uuid.UUID `json:"i"`
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := position{
			Name:  rapid.StringN(0, 64, 200).Draw(t, "name"),
			Price: rapid.Int64().Draw(t, "price"),
			Time:  time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "time")).UTC(),
			ID:    uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
		}
		filter := page.FilterHash(rapid.String().Draw(t, "filter"), 3)
		token := page.Encode(want, filter)
		if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("token %q needs escaping in a URL", token)
		}
		var got position
		if err := page.Decode(token, &got, filter); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("position changed (-want +got):\n%s", diff)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	filter := page.FilterHash("status", "PENDING")
	good := page.Encode(position{Name: "mug"}, filter)
	raw := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	tests := map[string]struct{ token, message string }{
		"empty":           {"", "not a token"},
		"not base64":      {"***", "not a token"},
		"padding":         {good + "=", "not a token"},
		"line break":      {good[:4] + "\n" + good[4:], "not a token"},
		"cut":             {good[:len(good)-3], "not a token"},
		"not JSON":        {raw("hello"), "not a token"},
		"more after":      {raw(`{"v":1,"f":"` + filter + `","p":{}} {}`), "not a token"},
		"unknown field":   {raw(`{"v":1,"f":"` + filter + `","p":{},"x":1}`), "not a token"},
		"other version":   {raw(`{"v":2,"f":"` + filter + `","p":{}}`), "another version"},
		"other filter":    {page.Encode(position{}, page.FilterHash("status", "SHIPPED")), "other filters"},
		"no position":     {raw(`{"v":1,"f":"` + filter + `"}`), "not a token"},
		"other position":  {raw(`{"v":1,"f":"` + filter + `","p":{"z":1}}`), "not a token"},
		"malformed id":    {raw(`{"v":1,"f":"` + filter + `","p":{"i":"1"}}`), "not a token"},
		"too long a text": {strings.Repeat("A", page.MaxLength+1), "longer than"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got position
			err := page.Decode(test.token, &got, filter)
			invalid := fault.From(err)
			if invalid == nil || invalid.Kind != fault.KindInvalidInput || invalid.Field != page.Field {
				t.Fatalf("error %v, want invalid input on %s", err, page.Field)
			}
			if !strings.Contains(invalid.Message, test.message) {
				t.Errorf("message %q, want %q in it", invalid.Message, test.message)
			}
		})
	}
}

func TestFilterHashKeepsPartsApart(t *testing.T) {
	t.Parallel()
	seen := map[string][]any{}
	for _, parts := range [][]any{{}, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"c", "ab"}, {1, 2}, {12}, {true}} {
		hash := page.FilterHash(parts...)
		if other, found := seen[hash]; found {
			t.Errorf("%v and %v have the same hash", other, parts)
		}
		seen[hash] = parts
		if hash != page.FilterHash(parts...) {
			t.Errorf("hash of %v changes", parts)
		}
	}
}

func TestEncodePanics(t *testing.T) {
	t.Parallel()
	for name, position := range map[string]any{"no JSON": func() {}, "unbounded": strings.Repeat("x", page.MaxLength)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			page.Encode(position, "")
		})
	}
}

func FuzzDecode(f *testing.F) {
	filter := page.FilterHash("status")
	f.Add(page.Encode(position{Name: "mug", Price: 1999}, filter))
	f.Add("")
	f.Add("eyJ2IjoxfQ")
	f.Fuzz(func(t *testing.T, token string) {
		var got position
		err := page.Decode(token, &got, filter)
		if err != nil {
			if invalid := fault.From(err); invalid == nil || invalid.Field != page.Field {
				t.Fatalf("error %v is no fault on the field", err)
			}
			return
		}
		if len(got.Name) > 200 {
			return // JSON escapes could make it longer than a token may be
		}
		// What was accepted is a position, and a position makes a token that is accepted again.
		var again position
		if err := page.Decode(page.Encode(got, filter), &again, filter); err != nil {
			t.Fatalf("position %+v does not come back: %v", got, err)
		}
		if !cmp.Equal(got, again) {
			t.Fatalf("position changed: %+v, then %+v", got, again)
		}
	})
}
