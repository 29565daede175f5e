// Package web serves the two pages that mailed links open. Opening a link
// changes nothing, since mail scanners open every link: the page shows a form,
// and only sending the form redeems the token. Without a token the page of a
// reset lets a person ask for the mail.
package web

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/mail"
	"strings"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/auth"
)

// maxForm bounds the body of a form, in bytes.
const maxForm = 16 << 10

// maxEmail bounds an address, in bytes.
const maxEmail = 254

//go:embed page.html
var source string

var page = template.Must(template.New("page").Parse(source))

// Service is what the pages do.
type Service interface {
	// VerifyEmail redeems the token of a verification mail.
	VerifyEmail(ctx context.Context, token string) error
	// RequestPasswordReset mails a link when the address has an account.
	RequestPasswordReset(ctx context.Context, email string) error
	// ConfirmPasswordReset sets a new password by the token of a reset mail.
	ConfirmPasswordReset(ctx context.Context, token, password string) error
}

// view is what the template shows.
type view struct {
	Title, Text, Problem string
	// Action and Button make the form; without an action there is none.
	Action, Button, Token string
	// Password asks for a new password, Email for an address.
	Password, Email bool
}

// Routes returns the pages by http.ServeMux pattern.
func Routes(service Service, logger *slog.Logger) map[string]http.Handler {
	s := &site{service: service, logger: logger}
	return map[string]http.Handler{
		"GET " + auth.VerifyPath:  http.HandlerFunc(s.askVerify),
		"POST " + auth.VerifyPath: http.HandlerFunc(s.verify),
		"GET " + auth.ResetPath:   http.HandlerFunc(s.askReset),
		"POST " + auth.ResetPath:  http.HandlerFunc(s.reset),
	}
}

type site struct {
	service Service
	logger  *slog.Logger
}

func verifyForm(token string) view {
	return view{
		Title: "Confirm your email address", Text: "Press the button to confirm that this address is yours.",
		Token: token, Action: auth.VerifyPath, Button: "Confirm",
	}
}

func resetForm(token string) view {
	return view{
		Title: "Choose a new password", Text: "You will be logged out everywhere else.",
		Token: token, Action: auth.ResetPath, Button: "Save password", Password: true,
	}
}

func requestForm() view {
	return view{
		Title: "Forgotten your password?", Text: "Tell us your email address, and we send you a link to choose a new one.",
		Action: auth.ResetPath, Button: "Send the link", Email: true,
	}
}

func (s *site) askVerify(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	if token == "" {
		s.show(w, r, http.StatusBadRequest, view{Title: "This link is not complete", Text: "Open the link in the mail again, or copy all of it."})
		return
	}
	s.show(w, r, http.StatusOK, verifyForm(token))
}

func (s *site) askReset(w http.ResponseWriter, r *http.Request) {
	form := requestForm()
	if token := r.URL.Query().Get("token"); token != "" {
		form = resetForm(token)
	}
	s.show(w, r, http.StatusOK, form)
}

func (s *site) verify(w http.ResponseWriter, r *http.Request) {
	if !s.parse(w, r) {
		return
	}
	token := r.PostForm.Get("token")
	if err := s.service.VerifyEmail(r.Context(), token); err != nil {
		s.fail(w, r, verifyForm(token), err)
		return
	}
	s.show(w, r, http.StatusOK, view{Title: "Your email address is confirmed", Text: "You can log in now."})
}

func (s *site) reset(w http.ResponseWriter, r *http.Request) {
	if !s.parse(w, r) {
		return
	}
	token := r.PostForm.Get("token")
	if token == "" {
		s.request(w, r)
		return
	}
	if err := s.service.ConfirmPasswordReset(r.Context(), token, r.PostForm.Get("password")); err != nil {
		s.fail(w, r, resetForm(token), err)
		return
	}
	s.show(w, r, http.StatusOK, view{Title: "Your password is changed", Text: "You can log in with it now."})
}

// request says the same whether or not the address has an account.
func (s *site) request(w http.ResponseWriter, r *http.Request) {
	form, email := requestForm(), strings.TrimSpace(r.PostForm.Get("email"))
	address, err := mail.ParseAddress(email)
	if err != nil || address.Address != email || len(email) > maxEmail {
		form.Problem = "This is not an email address."
		s.show(w, r, http.StatusBadRequest, form)
		return
	}
	if err := s.service.RequestPasswordReset(r.Context(), email); err != nil {
		s.fail(w, r, form, err)
		return
	}
	s.show(w, r, http.StatusOK, view{Title: "Look into your mail", Text: "If the address has an account, a link is on its way."})
}

func (s *site) parse(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.show(w, r, http.StatusBadRequest, view{Title: "This request is not valid", Text: "Open the link in the mail again."})
		return false
	}
	return true
}

// fail shows the form again with what the person can mend, or says that the link is over.
func (s *site) fail(w http.ResponseWriter, r *http.Request, form view, err error) {
	failure := fault.From(err)
	switch {
	case errors.Is(err, auth.ErrMailedToken):
		s.show(w, r, http.StatusBadRequest, view{
			Title: "This link is not valid any more",
			Text:  "It was used already, is too old, or a newer one was sent. Ask for a new one.",
		})
	case failure != nil && failure.Kind == fault.KindInvalidInput:
		form.Problem = "The password " + failure.Message + "."
		s.show(w, r, http.StatusBadRequest, form)
	default:
		s.logger.ErrorContext(r.Context(), "page of a mailed link failed", "error", err)
		form.Problem = "This did not work. Try again in a minute."
		s.show(w, r, http.StatusServiceUnavailable, form)
	}
}

func (s *site) show(w http.ResponseWriter, r *http.Request, status int, v view) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	// The token stands in the page's address: no other site may learn it.
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+styleHash+"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(status)
	if err := page.Execute(w, v); err != nil {
		s.logger.DebugContext(r.Context(), "page was not sent", "error", err)
	}
}
