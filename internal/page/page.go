// Package page makes the tokens of keyset pagination.
//
// A token holds the sort key and id of the last row of a page and a hash of the
// list's filter. It is opaque to clients but no secret and not signed: a forged
// one can only name another position in a list that the caller may read anyway,
// so a store must keep its owner predicates beside the position.
package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/commercestack/commercestack/internal/fault"
)

const (
	// Field is the request's field that faults name.
	Field = "pageToken"
	// MaxLength bounds a token, in bytes. Sort keys are short: names, times and numbers.
	MaxLength = 2048

	version    = 1
	filterSize = 8
)

var encoding = base64.RawURLEncoding.Strict()

// token is the JSON inside.
type token struct {
	Version  int             `json:"v"`
	Filter   string          `json:"f"`
	Position json.RawMessage `json:"p"`
}

// FilterHash answers the hash of everything that decides which rows a list has and in which order: filters, sorting,
// the owner. Not the page size, which may change between pages. Order matters; parts are kept apart.
func FilterHash(parts ...any) string {
	hash := sha256.New()
	for _, part := range parts {
		text := fmt.Sprint(part)
		fmt.Fprintf(hash, "%d:%s", len(text), text)
	}
	return encoding.EncodeToString(hash.Sum(nil)[:filterSize])
}

// Encode makes the token that continues after position, a value that JSON keeps exactly: use strings, integers, bool,
// time.Time and uuid.UUID. It panics when position cannot be encoded or is longer than a token may be, which only a
// wrong type or an unbounded sort key can cause.
func Encode(position any, filterHash string) string {
	inner, err := json.Marshal(position)
	if err != nil {
		panic(fmt.Sprintf("page: position %T has no JSON: %v", position, err))
	}
	text, err := json.Marshal(token{Version: version, Filter: filterHash, Position: inner})
	if err != nil {
		panic(fmt.Sprintf("page: %v", err)) // two strings and valid JSON
	}
	encoded := encoding.EncodeToString(text)
	if len(encoded) > MaxLength {
		panic(fmt.Sprintf("page: token of %d bytes for %T", len(encoded), position))
	}
	return encoded
}

// Decode reads a token that Encode made with the same filter hash into position, a pointer. Anything else is an
// INVALID_INPUT fault on pageToken; position may be written to in part then. An empty token means the first page:
// callers ask for that before.
func Decode(text string, position any, filterHash string) error {
	if len(text) > MaxLength {
		return fault.Invalid(Field, "is longer than %d bytes", MaxLength)
	}
	raw, err := encoding.DecodeString(text)
	// Go's decoder skips line breaks, which would give one position several spellings.
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return fault.Invalid(Field, "is not a token of this list")
	}
	var inner token
	if err := strict(raw, &inner); err != nil {
		return fault.Invalid(Field, "is not a token of this list")
	}
	if inner.Version != version {
		return fault.Invalid(Field, "was made by another version: start again at the first page")
	}
	if inner.Filter != filterHash {
		return fault.Invalid(Field, "belongs to a list with other filters or sorting")
	}
	if err := strict(inner.Position, position); err != nil {
		return fault.Invalid(Field, "is not a token of this list")
	}
	return nil
}

func strict(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("data after the value")
	}
	return nil
}
