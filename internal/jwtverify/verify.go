package jwtverify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/commercestack/commercestack/internal/fault"
)

const (
	// maxToken bounds the work that a token can cause.
	maxToken = 8192
	// skew is how far the clocks of the signer and the verifier may differ.
	skew = 30 * time.Second
	// checked is how long a signature is remembered. A key that was withdrawn in an emergency counts that long.
	checked = time.Minute
)

// The failures of Verify. All are KindAuthFailed; none says which check a forged token failed.
var (
	ErrInvalid = fault.New(fault.KindAuthFailed, "TOKEN_INVALID", "the access token is not valid")
	ErrExpired = fault.New(fault.KindAuthFailed, "TOKEN_EXPIRED", "the access token has expired")
	ErrRevoked = fault.New(fault.KindAuthFailed, "SESSION_ENDED", "the session is over")
)

var errUnknownKey = errors.New("jwtverify: unknown key id")

// Config is what a Verifier needs.
type Config struct {
	// Keys fetches the key set.
	Keys Keys
	// Revoked reports whether a session has ended. It may be nil.
	Revoked func(ctx context.Context, sessionID string) bool
	// Now is the clock.
	Now func() time.Time
}

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	keys    keySet
	revoked func(context.Context, string) bool
	now     func() time.Time
	parser  *jwt.Parser
	tokens  *cache[[sha256.Size]byte, Claims]
}

// New returns a Verifier.
func New(config Config) *Verifier {
	now := config.Now
	if now == nil {
		now = time.Now
	}
	return &Verifier{
		keys:    keySet{fetch: config.Keys, now: now},
		revoked: config.Revoked,
		now:     now,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
			jwt.WithIssuer(Issuer), jwt.WithAudience(Audience),
			jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(), jwt.WithIssuedAt(),
			jwt.WithLeeway(skew), jwt.WithTimeFunc(now), jwt.WithStrictDecoding(),
		),
		tokens: newCache[[sha256.Size]byte, Claims](cacheSize),
	}
}

// Verify returns the claims of a token that is signed by a known key, made for
// this platform, alive, and of a session that has not ended. Otherwise it fails
// with ErrInvalid, ErrExpired or ErrRevoked, or with KindUnavailable while the key set cannot be fetched.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	if token == "" || len(token) > maxToken {
		return Claims{}, ErrInvalid
	}
	claims, err := v.authentic(ctx, token)
	if err != nil {
		return Claims{}, err
	}
	if v.revoked != nil && v.revoked(ctx, claims.SessionID) {
		return Claims{}, ErrRevoked
	}
	return claims, nil
}

// authentic checks everything but the session.
func (v *Verifier) authentic(ctx context.Context, token string) (Claims, error) {
	now, digest := v.now(), sha256.Sum256([]byte(token))
	if claims, ok := v.tokens.get(digest, now); ok {
		return claims, nil
	}
	var claims Claims
	_, err := v.parser.ParseWithClaims(token, &claims, func(parsed *jwt.Token) (any, error) {
		if _, critical := parsed.Header["crit"]; critical {
			return nil, errors.New("jwtverify: unknown critical header")
		}
		id, _ := parsed.Header["kid"].(string)
		if id == "" {
			return nil, errUnknownKey
		}
		return v.keys.find(ctx, id)
	})
	switch {
	case err == nil:
	case fault.From(err) != nil:
		return Claims{}, fault.From(err)
	case errors.Is(err, jwt.ErrTokenExpired):
		return Claims{}, ErrExpired.WithCause(err)
	default:
		return Claims{}, ErrInvalid.WithCause(err)
	}
	if claims.UserID == "" || claims.UserID != claims.Subject || claims.SessionID == "" {
		return Claims{}, ErrInvalid.WithCause(fmt.Errorf("jwtverify: token %q lacks its user or session", claims.ID))
	}
	v.tokens.put(digest, claims, earlier(now.Add(checked), claims.ExpiresAt.Add(skew)))
	return claims, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
