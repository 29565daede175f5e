package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/commercestack/commercestack/internal/fault"
	"github.com/commercestack/commercestack/services/auth"
)

// redeemer notes what was redeemed and answers with err.
type redeemer struct {
	redeemed []string
	err      error
}

func (r *redeemer) VerifyEmail(_ context.Context, token string) error {
	r.redeemed = append(r.redeemed, "verify "+token)
	return r.err
}

func (r *redeemer) RequestPasswordReset(_ context.Context, email string) error {
	r.redeemed = append(r.redeemed, "request "+email)
	return r.err
}

func (r *redeemer) ConfirmPasswordReset(_ context.Context, token, password string) error {
	r.redeemed = append(r.redeemed, "reset "+token+" "+password)
	return r.err
}

func serve(service Service, method, target string, form url.Values) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	for pattern, handler := range Routes(service, slog.New(slog.DiscardHandler)) {
		mux.Handle(pattern, handler)
	}
	request := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, request)
	return recorder
}

func TestTrap22OpeningALinkRedeemsNothing(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/verify-email", "/reset-password"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			service := &redeemer{}
			got := serve(service, method, path+"?token=secret", nil)
			if got.Code != http.StatusOK || len(service.redeemed) != 0 {
				t.Errorf("%s %s: %d, redeemed %v", method, path, got.Code, service.redeemed)
			}
			if method == http.MethodGet && !strings.Contains(got.Body.String(), `name="token" value="secret"`) {
				t.Errorf("%s shows no form: %s", path, got.Body)
			}
		}
	}
}

func TestSendingTheFormRedeems(t *testing.T) {
	t.Parallel()
	service := &redeemer{}
	if got := serve(service, http.MethodPost, "/verify-email", url.Values{"token": {"a"}}); got.Code != 200 || !strings.Contains(got.Body.String(), "confirmed") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if got := serve(service, http.MethodPost, "/reset-password", url.Values{"token": {"b"}, "password": {"c d"}}); got.Code != 200 || !strings.Contains(got.Body.String(), "changed") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if got := strings.Join(service.redeemed, ","); got != "verify a,reset b c d" {
		t.Errorf("redeemed %s", got)
	}
}

func TestAskingForAResetLink(t *testing.T) {
	t.Parallel()
	service := &redeemer{}
	if got := serve(service, http.MethodGet, "/reset-password", nil); got.Code != 200 || !strings.Contains(got.Body.String(), `name="email"`) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if got := serve(service, http.MethodPost, "/reset-password", url.Values{"email": {" a@example.com "}}); got.Code != 200 || !strings.Contains(got.Body.String(), "If the address has an account") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	for _, bad := range []string{"", "nobody", "A <a@example.com>", "a@example.com, b@example.com", strings.Repeat("a", 250) + "@example.com"} {
		if got := serve(service, http.MethodPost, "/reset-password", url.Values{"email": {bad}}); got.Code != 400 {
			t.Errorf("%q: %d", bad, got.Code)
		}
	}
	if got := strings.Join(service.redeemed, ","); got != "request a@example.com" {
		t.Errorf("redeemed %s", got)
	}
	service.err = fault.Unavailable("database", 0)
	if got := serve(service, http.MethodPost, "/reset-password", url.Values{"email": {"a@example.com"}}); got.Code != 503 {
		t.Errorf("%d", got.Code)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		err   error
		code  int
		want  string
		again bool // the form is shown again
	}{
		{"dead link", auth.ErrMailedToken, 400, "not valid any more", false},
		{"weak password", fault.Invalid("newPassword", "must have at least 8 characters"), 400, "The password must have at least 8 characters.", true},
		{"database down", fault.Unavailable("database", 0), 503, "Try again", true},
		{"defect", errors.New("pq: password=hunter2"), 503, "Try again", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := serve(&redeemer{err: test.err}, http.MethodPost, "/reset-password", url.Values{"token": {"tok"}, "password": {"pw-of-a-person"}})
			body := got.Body.String()
			if got.Code != test.code || !strings.Contains(body, test.want) || strings.Contains(body, "<form") != test.again {
				t.Errorf("%d %s", got.Code, body)
			}
			if strings.Contains(body, "hunter2") || strings.Contains(body, "pw-of-a-person") {
				t.Errorf("a secret is shown: %s", body)
			}
		})
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	service := &redeemer{}
	if got := serve(service, http.MethodGet, "/verify-email", nil); got.Code != 400 {
		t.Errorf("no token: %d", got.Code)
	}
	if got := serve(service, http.MethodPost, "/verify-email", url.Values{"token": {strings.Repeat("x", maxForm+1)}}); got.Code != 400 {
		t.Errorf("huge form: %d", got.Code)
	}
	if got := serve(service, http.MethodDelete, "/verify-email", nil); got.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", got.Code)
	}
	if len(service.redeemed) != 0 {
		t.Errorf("redeemed %v", service.redeemed)
	}
}

func TestPagesEscapeAndProtect(t *testing.T) {
	t.Parallel()
	got := serve(&redeemer{}, http.MethodGet, "/reset-password?token="+url.QueryEscape(`"><script>alert(1)</script>`), nil)
	if strings.Contains(got.Body.String(), "<script>") {
		t.Errorf("markup of the address is shown: %s", got.Body)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
		"Content-Type": "text/html; charset=utf-8",
	} {
		if value := got.Header().Get(name); value != want {
			t.Errorf("%s = %q", name, value)
		}
	}
	policy := got.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy = %q", policy)
	}
	// The policy names the style that is really sent.
	if hash := hashOf(got.Body.String()); !strings.Contains(policy, hash) {
		t.Errorf("the style's hash %s is not in %q", hash, policy)
	}
}
