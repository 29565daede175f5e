package browser

import (
	"context"
	"errors"
	"net/http"
	"time"

	authv1 "github.com/commercestack/commercestack/api/gen/commerce/auth/v1"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/identity"
	"github.com/commercestack/commercestack/internal/jwtverify"
)

const (
	visitCookie = "visit"
	loginCookie = "login"
	// loginLife is the life of a refresh token.
	loginLife = 30 * 24 * time.Hour
	// visitBytes is enough randomness for an id that nobody guesses.
	visitBytes = 18
)

var (
	errCookieTooLarge = errors.New("browser: the cookie is larger than browsers keep")
	// ErrForm refuses a form that our own page of this session did not make.
	ErrForm = fault.New(fault.KindUnauthorized, "FORM_TOKEN", "this form is too old; open the page again and repeat")
)

// Visit is one request of one browser.
type Visit struct {
	// ID is random and stays the same until the person logs in or out.
	ID string
	// Identity is the person, or an anonymous guest.
	Identity identity.Identity
	// FormToken goes into every form.
	FormToken string

	refreshToken string
}

// LoggedIn reports whether a person is logged in.
func (v *Visit) LoggedIn() bool { return !v.Identity.Anonymous() }

// RequestKey makes the key of a form that must act once. Nobody else's form can repeat it.
func (v *Visit) RequestKey(form string) string { return v.ID + "." + form }

// As returns a context in which calls carry the visitor's identity and, for a
// guest's cart or order, its token.
func (v *Visit) As(ctx context.Context, guestToken string) context.Context {
	id := v.Identity
	id.GuestToken = guestToken
	return identity.With(ctx, id)
}

// login is what the sealed cookie holds of a person who is logged in.
type login struct {
	Access  string `json:"a"`
	Refresh string `json:"r"`
}

// visit finds out who is visiting. An access token that expired is renewed; a
// session that is over makes a guest.
func (s *Site) visit(w http.ResponseWriter, r *http.Request) (*Visit, error) {
	v := &Visit{Identity: outside(r.Context())}
	known := s.ReadCookie(r, s.config.Name+"_"+visitCookie, &v.ID)
	if !known || v.ID == "" {
		if err := s.renewVisit(w, v); err != nil {
			return nil, err
		}
	}
	var tokens login
	if s.ReadCookie(r, s.config.Name+"_"+loginCookie, &tokens) {
		if err := s.resume(w, r, v, tokens); err != nil {
			return v, err
		}
	}
	v.FormToken = s.formToken(v)
	return v, nil
}

// outside keeps what the gateway knows of the client and drops who it is.
func outside(ctx context.Context) identity.Identity {
	id := identity.From(ctx)
	return identity.Identity{ClientIP: id.ClientIP, UserAgent: id.UserAgent}
}

func (s *Site) renewVisit(w http.ResponseWriter, v *Visit) error {
	v.ID = crypto.Token(visitBytes)
	return s.WriteCookie(w, s.config.Name+"_"+visitCookie, v.ID, 0)
}

func (s *Site) resume(w http.ResponseWriter, r *http.Request, v *Visit, tokens login) error {
	ctx := v.As(r.Context(), "")
	claims, err := s.verifier.Verify(ctx, tokens.Access)
	if errors.Is(err, jwtverify.ErrExpired) {
		var answer *authv1.RefreshResponse
		answer, err = s.auth.Refresh(ctx, &authv1.RefreshRequest{RefreshToken: tokens.Refresh})
		if err == nil {
			tokens = login{Access: answer.AccessToken, Refresh: answer.RefreshToken}
			claims, err = s.keep(ctx, w, tokens)
		}
	}
	switch failure := fault.From(err); {
	case err == nil:
		v.become(claims, tokens)
		return nil
	case failure != nil && failure.Kind == fault.KindAuthFailed:
		s.DropCookie(w, s.config.Name+"_"+loginCookie)
		return nil
	default:
		return err
	}
}

// keep verifies tokens that auth just issued and puts them into the cookie.
func (s *Site) keep(ctx context.Context, w http.ResponseWriter, tokens login) (jwtverify.Claims, error) {
	claims, err := s.verifier.Verify(ctx, tokens.Access)
	if err != nil {
		return claims, err
	}
	return claims, s.WriteCookie(w, s.config.Name+"_"+loginCookie, tokens, loginLife)
}

func (v *Visit) become(claims jwtverify.Claims, tokens login) {
	id := claims.Identity()
	id.ClientIP, id.UserAgent = v.Identity.ClientIP, v.Identity.UserAgent
	v.Identity, v.refreshToken = id, tokens.Refresh
}

// Login exchanges an address and a password for a session and keeps it in the
// browser. With a role given, a person without it stays logged out.
func (s *Site) Login(w http.ResponseWriter, r *http.Request, v *Visit, email, password, role string) error {
	ctx := v.As(r.Context(), "")
	answer, err := s.auth.Login(ctx, &authv1.LoginRequest{Email: email, Password: password})
	if err != nil {
		return err
	}
	tokens := login{Access: answer.AccessToken, Refresh: answer.RefreshToken}
	claims, err := s.verifier.Verify(ctx, tokens.Access)
	if err != nil {
		return err
	}
	if role != "" && !claims.Identity().HasRole(role) {
		_, _ = s.auth.Logout(ctx, &authv1.LogoutRequest{RefreshToken: tokens.Refresh})
		return fault.Unauthorized("this account may not log in here")
	}
	if _, err := s.keep(ctx, w, tokens); err != nil {
		return err
	}
	v.become(claims, tokens)
	// A visit that somebody else may know must not become a logged-in one.
	if err := s.renewVisit(w, v); err != nil {
		return err
	}
	v.FormToken = s.formToken(v)
	return nil
}

// Logout ends the session here and at auth. While auth is down the browser
// still forgets it, and the error says that the session lives on.
func (s *Site) Logout(w http.ResponseWriter, r *http.Request, v *Visit) error {
	s.DropCookie(w, s.config.Name+"_"+loginCookie)
	s.DropCookie(w, s.config.Name+"_"+visitCookie)
	if v.refreshToken == "" {
		return nil
	}
	_, err := s.auth.Logout(v.As(r.Context(), ""), &authv1.LogoutRequest{RefreshToken: v.refreshToken})
	return err
}

// formToken is bound to the visit and the login: another browser's token, or
// one of before the login, is worth nothing.
func (s *Site) formToken(v *Visit) string { return s.formTokens(v)[0] }

// formTokens are the token and those that pages have which were made with
// another key of the ring, before it was changed or by a process that has not
// seen the change.
func (s *Site) formTokens(v *Visit) []string {
	return s.config.Keyring.TokensFor("browser form", s.config.Name+"/"+v.ID+"/"+v.Identity.SessionID)
}
