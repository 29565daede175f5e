package conformance

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

var tokenCases = []Case{
	{
		Name: "forged-access-tokens-are-refused", Needs: Needs{Development: true}, Run: forgedTokens,
		Rule: "Tokens without signature, signed by others, by the public key as a secret, changed, or of another kind open nothing.",
	},
	{
		Name: "a-valid-token-says-who-it-is", Needs: Needs{Development: true}, Run: validToken,
		Rule: "Validation names the user and the roles of a live token, its life is an hour, and its key is published.",
	},
}

type claims map[string]any

// unpack returns header and payload of a token.
func unpack(token string) (header, payload claims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, fmt.Errorf("an access token has %d parts", len(parts))
	}
	for i, into := range []*claims{&header, &payload} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil, err
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return nil, nil, err
		}
	}
	return header, payload, nil
}

// pack is the part of a token that is signed.
func pack(header, payload claims) string {
	encoded := make([]string, 2)
	for i, part := range []claims{header, payload} {
		raw, err := json.Marshal(part)
		if err != nil {
			panic(err) // decoded JSON encodes
		}
		encoded[i] = base64.RawURLEncoding.EncodeToString(raw)
	}
	return strings.Join(encoded, ".")
}

func (c claims) with(name string, value any) claims {
	other := claims{name: value}
	for key, kept := range c {
		if key != name {
			other[key] = kept
		}
	}
	return other
}

func forgedTokens(ctx context.Context, s *Session) error {
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	header, payload, err := unpack(person.Token)
	if err != nil {
		return err
	}
	keys, err := s.Guest.Must(ctx, http.MethodGet, "/.well-known/jwks.json", nil)
	if err != nil {
		return err
	}
	public, err := base64.RawURLEncoding.DecodeString(keys.String("keys", 0, "x"))
	if err != nil {
		return fmt.Errorf("the published key: %w", err)
	}
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	signature := person.Token[strings.LastIndexByte(person.Token, '.'):]
	promoted := payload.with("roles", []string{"admin"}).with("permissions", []string{"*"})
	sign := func(h, p claims) string {
		text := pack(h, p)
		return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(stranger, []byte(text)))
	}
	mac := func(h claims, secret []byte) string {
		text := pack(h, promoted)
		hash := hmac.New(sha256.New, secret)
		hash.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(hash.Sum(nil))
	}
	forged := map[string]string{
		"alg none":                    pack(header.with("alg", "none"), promoted) + ".",
		"alg None with signature":     pack(header.with("alg", "None"), promoted) + signature,
		"no signature":                pack(header, payload) + ".",
		"changed roles":               pack(header, promoted) + signature,
		"a longer life":               pack(header, payload.with("exp", time.Now().Add(1000*time.Hour).Unix())) + signature,
		"signed by a stranger":        sign(header, promoted),
		"of an unknown key":           sign(header.with("kid", "unknown"), promoted),
		"without a key id":            sign(header.with("kid", ""), promoted),
		"with its own key":            sign(header.with("jwk", map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(stranger.Public().(ed25519.PublicKey))}), promoted),
		"with a key address":          sign(header.with("jku", s.Guest.URL+"/.well-known/jwks.json"), promoted),
		"for another audience":        sign(header, promoted.with("aud", "another")),
		"public key as secret":        mac(header.with("alg", "HS256"), public),
		"public key's text as secret": mac(header.with("alg", "HS256"), []byte(keys.String("keys", 0, "x"))),
		"empty secret":                mac(header.with("alg", "HS256"), nil),
		"cut off":                     person.Token[:len(person.Token)-4],
		"a refresh token":             person.RefreshToken,
		"nothing":                     "..",
	}
	for name, token := range forged {
		if err := mustRefuse(ctx, s.Guest.As(token), http.MethodGet, "/api/v1/users/me", nil, http.StatusUnauthorized, "AUTH_FAILED"); err != nil {
			return fmt.Errorf("a token %s: %w", name, err)
		}
		answer, err := send(ctx, s.Guest, http.MethodPost, "/api/v1/auth/validate", map[string]any{"token": token})
		if err := okay(answer, err); err != nil {
			return fmt.Errorf("validation of a token %s: %w", name, err)
		}
		if answer.String("valid") == "true" || answer.String("userId") != "" || answer.String("error") == "" {
			return fmt.Errorf("validation of a token %s answers %s", name, brief(answer))
		}
	}
	return s.alive(ctx, person.Token)
}

func validToken(ctx context.Context, s *Session) error {
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	header, payload, err := unpack(person.Token)
	if err != nil {
		return err
	}
	answer, err := send(ctx, s.Guest, http.MethodPost, "/api/v1/auth/validate", map[string]any{"token": person.Token})
	if err := okay(answer, err); err != nil {
		return err
	}
	if answer.String("valid") != "true" || answer.String("userId") == "" || answer.String("userId") != fmt.Sprint(payload["userId"]) || answer.String("roles", 0) != "user" {
		return fmt.Errorf("validation answers %s for %v", brief(answer), payload)
	}
	issued, _ := payload["iat"].(float64)
	expires, _ := payload["exp"].(float64)
	if expires-issued != time.Hour.Seconds() {
		return fmt.Errorf("an access token lives %.0f s", expires-issued)
	}
	keys, err := s.Guest.Must(ctx, http.MethodGet, "/.well-known/jwks.json", nil)
	if err != nil {
		return err
	}
	for i := range keys.Len("keys") {
		if keys.Get("keys", i, "d") != nil {
			return fmt.Errorf("a private key is published")
		}
		if keys.String("keys", i, "kid") == header["kid"] {
			return nil
		}
	}
	return fmt.Errorf("key %v is not published", header["kid"])
}
