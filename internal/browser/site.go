package browser

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"github.com/redis/go-redis/v9"

	"github.com/commercestack/commercestack/api/gen/commerce/auth/v1/authv1connect"
	"github.com/commercestack/commercestack/internal/crypto"
	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/internal/jwtverify"
	"github.com/commercestack/commercestack/internal/telemetry"
)

// maxForm bounds the body of a form, in bytes.
const maxForm = 64 << 10

// FormField is the form field that holds the visit's FormToken.
const FormField = "form_token"

// policy lets pages load what this program serves, and nothing else. Pictures
// have absolute addresses, so theirs names the shop even when the page was
// opened by another name of the same machine.
func policy(publicOrigin string) string {
	return strings.TrimSpace("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
		"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; img-src 'self' " + publicOrigin)
}

// Config of a Site.
type Config struct {
	// Name tells the cookies of sites apart.
	Name string
	// Path that cookies are sent to.
	Path string
	// SameSite of the cookies.
	SameSite http.SameSite
	// PublicURL is the shop's address; with https cookies are secure.
	PublicURL string
	// Auth is a client of the auth component.
	Auth *connect.Client
	// Keyring seals cookies.
	Keyring *crypto.Keyring
	// Redis holds the ended sessions. It may be nil.
	Redis redis.UniversalClient
	// Now is the clock.
	Now func() time.Time
	// Logger takes failures that a page cannot explain.
	Logger *slog.Logger
	// Fail shows a problem as a page.
	Fail func(w http.ResponseWriter, r *http.Request, v *Visit, p Problem)
}

// Site serves pages to visitors. It is safe for concurrent use.
type Site struct {
	config   Config
	secure   bool
	policy   string
	auth     authv1connect.AuthServiceClient
	verifier *jwtverify.Verifier
	origins  *http.CrossOriginProtection
}

// New returns a Site. It fails when the configuration lacks something.
func New(config Config) (*Site, error) {
	if config.Keyring == nil || config.Auth == nil || config.Now == nil || config.Logger == nil || config.Fail == nil {
		return nil, errors.New("browser: the site lacks the keyring, the auth client, the clock, the logger or the error page")
	}
	s := &Site{
		config: config, secure: strings.HasPrefix(config.PublicURL, "https://"), policy: policy(""),
		auth: authv1connect.NewAuthServiceClient(config.Auth), origins: http.NewCrossOriginProtection(),
		verifier: jwtverify.New(jwtverify.Config{
			Keys:    jwtverify.FromClient(config.Auth),
			Revoked: jwtverify.NewRevocations(config.Redis, config.Now, config.Logger).Revoked, Now: config.Now,
		}),
	}
	if public, err := url.Parse(config.PublicURL); err == nil && public.Host != "" {
		origin := public.Scheme + "://" + public.Host
		if err := s.origins.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("browser: public URL: %w", err)
		}
		s.policy = policy(origin)
	}
	return s, nil
}

// Handler serves one page. An error becomes a page of its own.
type Handler func(w http.ResponseWriter, r *http.Request, v *Visit) error

// Page wraps a handler: it finds the visitor, refuses forms that are not ours,
// sets the security headers and shows errors.
func (s *Site) Page(next Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = withRequestID(r)
		s.protect(w)
		v, err := s.visit(w, r)
		if err == nil {
			err = s.checkForm(w, r, v)
		}
		if err == nil {
			err = next(w, r, v)
		}
		if err == nil {
			return
		}
		if v == nil {
			v = &Visit{}
		}
		s.config.Fail(w, r, v, s.Explain(r, err))
	})
}

// withRequestID takes over the gateway's correlation id when it runs in another process.
func withRequestID(r *http.Request) *http.Request {
	if telemetry.RequestID(r.Context()) != "" {
		return r
	}
	id := r.Header.Get(telemetry.RequestIDHeader)
	if !telemetry.ValidRequestID(id) {
		id = telemetry.NewRequestID()
	}
	return r.WithContext(telemetry.WithRequestID(r.Context(), id))
}

// protect sets the headers of every page.
func (s *Site) protect(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", s.policy)
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	h.Set("Vary", "Cookie")
}

// checkForm lets requests that change something through only when a page of
// ours, shown to this visitor, sent them.
func (s *Site) checkForm(w http.ResponseWriter, r *http.Request, v *Visit) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if err := s.origins.Check(r); err != nil {
		return ErrForm.WithCause(err)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return fault.Invalid("form", "the form cannot be read").WithCause(err)
	}
	given, known := r.PostForm.Get(FormField), false
	for _, token := range s.formTokens(v) {
		known = crypto.EqualTokens(given, token) || known
	}
	if !known {
		return ErrForm
	}
	return nil
}

// SeeOther sends the browser to a page of this site after a form did its work.
func SeeOther(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}
