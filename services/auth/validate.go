package auth

import (
	"context"
	"errors"

	"github.com/commercestack/commercestack/internal/fault"
)

// Validation is what a token is worth.
type Validation struct {
	// Valid is true when signature, times, audience, session and account hold.
	Valid bool
	// Problem says why it is not, "" when it is.
	Problem string
	// Account is the token's owner when valid, with the roles of now.
	Account Account
}

// ValidateToken says whether an access token counts at this moment. A token
// that does not is an answer, not an error.
func (s *Service) ValidateToken(ctx context.Context, token string) (Validation, error) {
	claims, err := s.tokens.Verify(ctx, token)
	if err != nil {
		if f := fault.From(err); f != nil && f.Kind == fault.KindAuthFailed {
			return Validation{Problem: f.Message}, nil
		}
		return Validation{}, err
	}
	account, err := s.store.AccountOfSession(ctx, claims.SessionID, s.now())
	if errors.Is(err, ErrSessionNotFound) || err == nil && account.ID != claims.UserID {
		return Validation{Problem: "the session is over"}, nil
	}
	if err != nil {
		return Validation{}, err
	}
	return Validation{Valid: true, Account: account}, nil
}
