package conformance

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/commercestack/commercestack/test/shop"
)

var contractCases = []Case{
	{
		Name: "errors-have-one-shape", Needs: Needs{Admin: true, Development: true}, Run: errorShapes,
		Rule: "Every refusal has the error body of the contract, its code and status, and the request's id.",
	},
	{
		Name: "a-secret-is-never-repeated", Run: secrets,
		Rule: "A password or token in a bad request is not in the answer.",
	},
	{
		Name: "roles-hold-everywhere", Needs: Needs{Development: true}, Run: roles,
		Rule: "Guests and users reach nothing of administrators, over REST and Connect, and nobody reaches what is between components.",
	},
	{
		Name: "nobody-makes-himself-administrator", Needs: Needs{Development: true}, Run: noPromotion,
		Rule: "Fields about roles in a registration or a profile change nothing.",
	},
}

// wrong is a request and the refusal it gets.
type wrong struct {
	who    *shop.Shop
	method string
	path   string
	body   any
	status int
	code   string
	field  string
}

func (w wrong) check(ctx context.Context) error {
	answer, err := send(ctx, w.who, w.method, w.path, w.body)
	if err != nil {
		return err
	}
	err = refusal(answer, w.status, w.code)
	if field := answer.String("error", "details", "field"); err == nil && w.field != "" && field != w.field {
		err = fmt.Errorf("details.field is %q, want %q: %s", field, w.field, brief(answer))
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", w.method, w.path, err)
	}
	return nil
}

func errorShapes(ctx context.Context, s *Session) error {
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	nobody, user := s.Guest, person.Shop
	unknown := uuid.NewString()
	product, err := s.product(ctx, "shapes", 100, 1)
	if err != nil {
		return err
	}
	for _, w := range []wrong{
		{nobody, http.MethodGet, "/api/v1/nothing", nil, 404, "NOT_FOUND", ""},
		{nobody, http.MethodPost, "/commerce.order.v1.OrderService/Nothing", "{}", 404, "", ""},
		{nobody, http.MethodGet, "/api/v1/products/" + unknown, nil, 404, "NOT_FOUND", ""},
		{nobody, http.MethodGet, "/api/v1/products/not-a-uuid", nil, 400, "INVALID_INPUT", "productId"},
		{nobody, http.MethodGet, "/api/v1/products?minPrice=cheap", nil, 400, "INVALID_INPUT", "minPrice"},
		{nobody, http.MethodGet, "/api/v1/products?pageSize=1000", nil, 400, "INVALID_INPUT", "pageSize"},
		{user, http.MethodGet, "/api/v1/orders/" + unknown, nil, 404, "NOT_FOUND", ""},
		{nobody, http.MethodPost, "/api/v1/orders", "{", 400, "INVALID_INPUT", ""},
		{nobody, http.MethodPost, "/api/v1/orders", "[]", 400, "INVALID_INPUT", ""},
		{nobody, http.MethodPost, "/api/v1/orders", map[string]any{"items": items(line{product, 1})}, 400, "INVALID_INPUT", "email"},
		{nobody, http.MethodPost, "/api/v1/orders", map[string]any{"items": items(line{product, 1}), "email": "notanemail"}, 400, "INVALID_INPUT", "email"},
		{nobody, http.MethodPost, "/api/v1/orders", map[string]any{"items": items(line{unknown, 1}), "email": shop.NewEmail()}, 404, "NOT_FOUND", ""},
		{nobody, http.MethodPost, "/api/v1/orders", map[string]any{"items": items(line{product, 2}), "email": shop.NewEmail()}, 409, "OUT_OF_STOCK", ""},
		{nobody, http.MethodGet, "/api/v1/users/me", nil, 401, "AUTH_FAILED", ""},
		{nobody.As("nonsense"), http.MethodGet, "/api/v1/users/me", nil, 401, "AUTH_FAILED", ""},
		{nobody, http.MethodPost, "/api/v1/products", map[string]any{"name": "x"}, 401, "AUTH_FAILED", ""},
		{user, http.MethodPost, "/api/v1/products", map[string]any{"name": "x"}, 403, "UNAUTHORIZED", ""},
		{user, http.MethodGet, "/api/v1/users", nil, 403, "UNAUTHORIZED", ""},
		{nobody, http.MethodPost, "/api/v1/auth/register", map[string]any{"email": "notanemail", "password": shop.Password}, 400, "INVALID_INPUT", "email"},
		{nobody, http.MethodPost, "/api/v1/auth/register", map[string]any{"email": shop.NewEmail(), "password": "short"}, 400, "INVALID_INPUT", "password"},
		{nobody, http.MethodPost, "/api/v1/auth/refresh", map[string]any{"refreshToken": "nonsense"}, 401, "AUTH_FAILED", ""},
		{s.Admin.With("If-Match", `"999999"`), http.MethodPatch, "/api/v1/products/" + product, map[string]any{"name": "x"}, 412, "STALE_ETAG", ""},
	} {
		if strings.HasPrefix(w.path, "/commerce.") {
			continue // Connect has an error body of its own
		}
		if err := w.check(ctx); err != nil {
			return err
		}
	}
	return s.requestIDs(ctx)
}

// requestIDs wants the caller's id to be kept when it is harmless, and an own one otherwise.
func (s *Session) requestIDs(ctx context.Context) error {
	for given, kept := range map[string]bool{"req-conformance-1": true, strings.Repeat("x", 500): false, `"><script>`: false} {
		answer, err := s.Guest.With("X-Request-Id", given).Do(ctx, http.MethodGet, "/api/v1/nothing", nil)
		if err != nil {
			return err
		}
		if got := answer.Header.Get("X-Request-Id"); got == "" || (got == given) != kept {
			return fmt.Errorf("X-Request-Id %.40q is answered with %.40q", given, got)
		}
	}
	odd, err := s.Guest.Do(ctx, http.MethodGet, "/api/v1/%3Cscript%3E", nil)
	if err != nil {
		return err
	}
	if kind := odd.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") || odd.Header.Get("X-Content-Type-Options") != "nosniff" {
		return fmt.Errorf("an error is served as %q with X-Content-Type-Options %q", kind, odd.Header.Get("X-Content-Type-Options"))
	}
	fine, err := s.Guest.Must(ctx, http.MethodGet, "/api/v1/products?pageSize=1", nil)
	if err != nil {
		return err
	}
	if fine.Header.Get("X-Request-Id") == "" {
		return fmt.Errorf("an answer without X-Request-Id")
	}
	return nil
}

func secrets(ctx context.Context, s *Session) error {
	const secret = "S3cr3t"
	long := secret + strings.Repeat("x", 600)
	for path, body := range map[string]map[string]any{
		"/api/v1/auth/register":               {"email": "notanemail", "password": secret},
		"/api/v1/auth/login":                  {"email": shop.NewEmail(), "password": long},
		"/api/v1/auth/refresh":                {"refreshToken": long},
		"/api/v1/auth/verify-email":           {"token": long},
		"/api/v1/auth/password-reset/confirm": {"token": secret, "newPassword": secret},
	} {
		answer, err := send(ctx, s.Guest, http.MethodPost, path, body)
		if err != nil {
			return err
		}
		if answer.Status < 400 || strings.Contains(string(answer.Raw), secret) {
			return fmt.Errorf("%s: status %d: %s", path, answer.Status, brief(answer))
		}
		if err := errorShape(answer); err != nil {
			return err
		}
	}
	return nil
}

func roles(ctx context.Context, s *Session) error {
	person, err := s.person(ctx)
	if err != nil {
		return err
	}
	id := uuid.NewString()
	for _, r := range []struct {
		method, path string
		body         any
	}{
		{http.MethodPost, "/api/v1/products", map[string]any{"name": "x"}},
		{http.MethodPatch, "/api/v1/products/" + id, map[string]any{"price": s.money(1)}},
		{http.MethodDelete, "/api/v1/products/" + id, nil},
		{http.MethodPost, "/api/v1/products/" + id + ":adjustStock", map[string]any{"delta": 1, "reason": "x"}},
		{http.MethodPost, "/api/v1/products/" + id + "/images", "x"},
		{http.MethodPost, "/api/v1/products:import", map[string]any{"format": "SHOPIFY", "content": "eA=="}},
		{http.MethodPost, "/api/v1/categories", map[string]any{"name": "x"}},
		{http.MethodGet, "/api/v1/users", nil},
		{http.MethodGet, "/api/v1/users/" + id, nil},
		{http.MethodDelete, "/api/v1/users/" + id, nil},
		{http.MethodPost, "/api/v1/orders/" + id + ":fulfill", map[string]any{}},
		{http.MethodPost, "/api/v1/orders/" + id + ":complete", map[string]any{}},
		{http.MethodPost, "/api/v1/coupons", map[string]any{"code": "FREE", "percentOffBps": 10_000}},
		{http.MethodGet, "/api/v1/coupons", nil},
		{http.MethodPost, "/api/v1/billing/payments/" + id + ":refund", map[string]any{"reason": "x"}},
		{http.MethodPost, "/commerce.product.v1.ProductService/AdjustStock", map[string]any{"productId": id, "delta": 1, "reason": "x"}},
		{http.MethodPost, "/commerce.billing.v1.BillingService/RefundPayment", map[string]any{"paymentId": id, "reason": "x"}},
	} {
		for caller, status := range map[*shop.Shop]int{s.Guest: http.StatusUnauthorized, person.Shop: http.StatusForbidden} {
			answer, err := send(ctx, caller, r.method, r.path, r.body)
			if err != nil {
				return err
			}
			if answer.Status != status {
				return fmt.Errorf("%s %s: status %d, want %d: %s", r.method, r.path, answer.Status, status, brief(answer))
			}
		}
	}
	return s.betweenComponents(ctx, person)
}

// betweenComponents tries what only components ask of each other.
func (s *Session) betweenComponents(ctx context.Context, person *shop.Person) error {
	id := uuid.NewString()
	for path, body := range map[string]map[string]any{
		"/commerce.billing.v1.ReimbursementService/RefundOrder":     {"orderId": id, "reason": "x"},
		"/commerce.order.v1.SettlementService/BeginPayment":         {"orderId": id, "paymentId": id},
		"/commerce.auth.v1.AccountService/SetAccountRoles":          {"userId": id, "roles": []string{"admin"}},
		"/commerce.auth.v1.AccountService/ListAccounts":             {},
		"/commerce.product.v1.ReservationService/ReserveStock":      {"orderId": id},
		"/commerce.product.v1.ReservationService/CommitReservation": {"orderId": id},
	} {
		callers := []*shop.Shop{s.Guest, person.Shop, person.With("X-Commerce-Identity", "e30.e30"), s.Guest.With("X-Commerce-Identity", person.Token)}
		if s.Admin != nil {
			callers = append(callers, s.Admin)
		}
		for _, caller := range callers {
			answer, err := send(ctx, caller, http.MethodPost, path, body)
			if err != nil {
				return err
			}
			if answer.Status < 400 || answer.Status > 499 {
				return fmt.Errorf("%s from outside: status %d: %s", path, answer.Status, brief(answer))
			}
		}
	}
	return nil
}

func noPromotion(ctx context.Context, s *Session) error {
	email := shop.NewEmail()
	body := map[string]any{"email": email, "password": shop.Password, "roles": []string{"admin"}, "role": "admin", "permissions": []string{"*"}, "emailVerified": true}
	answer, err := send(ctx, s.Guest, http.MethodPost, "/api/v1/auth/register", body)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		if err := refusal(answer, http.StatusBadRequest, "INVALID_INPUT"); err != nil {
			return err
		}
		if err := okay(send(ctx, s.Guest, http.MethodPost, "/api/v1/auth/register", map[string]any{"email": email, "password": shop.Password})); err != nil {
			return err
		}
	}
	token, err := s.Guest.MailToken(ctx, email, "/verify-email")
	if err != nil {
		return err
	}
	if err := okay(send(ctx, s.Guest, http.MethodPost, "/api/v1/auth/verify-email", map[string]any{"token": token})); err != nil {
		return err
	}
	person, err := s.login(ctx, email, shop.Password)
	if err != nil {
		return err
	}
	if _, err := send(ctx, person.Shop, http.MethodPatch, "/api/v1/users/me", map[string]any{"roles": []string{"admin"}}); err != nil {
		return err
	}
	if person, err = s.login(ctx, email, shop.Password); err != nil {
		return err
	}
	return mustRefuse(ctx, person.Shop, http.MethodGet, "/api/v1/users", nil, http.StatusForbidden, "UNAUTHORIZED")
}
