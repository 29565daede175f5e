package shop

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Password is what the people of this package log in with.
const Password = "correct horse battery staple"

var people atomic.Int64

// NewEmail returns an address that no other call returns.
func NewEmail() string {
	return fmt.Sprintf("person-%d-%d@example.com", time.Now().UnixNano(), people.Add(1))
}

// Person is a registered customer who is logged in.
type Person struct {
	*Shop

	// Email the person logs in with.
	Email string
	// RefreshToken of the session.
	RefreshToken string
}

// Register creates an account, answers the verification mail and logs in. The
// shop must show captured mail (/dev/mail).
func (s *Shop) Register(ctx context.Context, email string) (*Person, error) {
	if _, err := s.Must(ctx, http.MethodPost, "/api/v1/auth/register",
		map[string]any{"email": email, "password": Password, "displayName": "Pat Example"}); err != nil {
		return nil, err
	}
	token, err := s.MailToken(ctx, email, "/verify-email")
	if err != nil {
		return nil, fmt.Errorf("verification mail: %w", err)
	}
	if _, err := s.Must(ctx, http.MethodPost, "/api/v1/auth/verify-email", map[string]any{"token": token}); err != nil {
		return nil, err
	}
	return s.Login(ctx, email, Password)
}

// Login returns the person behind an address and a password.
func (s *Shop) Login(ctx context.Context, email, password string) (*Person, error) {
	answer, err := s.Must(ctx, http.MethodPost, "/api/v1/auth/login", map[string]any{"email": email, "password": password})
	if err != nil {
		return nil, err
	}
	return &Person{Shop: s.As(answer.String("accessToken")), Email: email, RefreshToken: answer.String("refreshToken")}, nil
}

// MailToken waits for a mail with a link whose path is given and returns the link's token.
func (s *Shop) MailToken(ctx context.Context, email, path string) (string, error) {
	var token string
	err := Eventually(ctx, 20*time.Second, func() (bool, error) {
		answer, err := s.Must(ctx, http.MethodGet, "/dev/mail"+Query("to", email), nil)
		if err != nil {
			return false, err
		}
		for i := range answer.Len("messages") {
			for j := range answer.Len("messages", i, "links") {
				link, err := url.Parse(answer.String("messages", i, "links", j))
				if err == nil && strings.HasSuffix(link.Path, path) && link.Query().Get("token") != "" {
					token = link.Query().Get("token")
					return true, nil
				}
			}
		}
		return false, nil
	})
	return token, err
}

// Subjects lists the subjects of the mails to an address, newest first.
func (s *Shop) Subjects(ctx context.Context, email string) ([]string, error) {
	answer, err := s.Must(ctx, http.MethodGet, "/dev/mail"+Query("to", email), nil)
	if err != nil {
		return nil, err
	}
	var subjects []string
	for i := range answer.Len("messages") {
		subjects = append(subjects, answer.String("messages", i, "subject"))
	}
	return subjects, nil
}

// NewProduct creates a product as an administrator. price is in minor units.
func (s *Shop) NewProduct(ctx context.Context, name, currency string, price, onHand int64) (string, error) {
	answer, err := s.Must(ctx, http.MethodPost, "/api/v1/products", map[string]any{
		"name": name, "sku": fmt.Sprintf("SKU-%d-%d", time.Now().UnixNano(), people.Add(1)),
		"price": map[string]any{"currencyCode": currency, "amountMinor": fmt.Sprint(price)},
		"stock": map[string]any{"onHand": onHand}, "status": "ACTIVE",
	})
	if err != nil {
		return "", err
	}
	return answer.String("product", "id"), nil
}

// Place orders pieces of one product.
func (s *Shop) Place(ctx context.Context, productID string, quantity int) (*Answer, error) {
	body := map[string]any{"items": []any{map[string]any{"productId": productID, "quantity": quantity}}}
	if s.Token == "" {
		body["email"] = NewEmail()
	}
	return s.Do(ctx, http.MethodPost, "/api/v1/orders", body)
}

// Pay pays an order with one of Stripe's test methods.
func (s *Shop) Pay(ctx context.Context, orderID, method string) (*Answer, error) {
	return s.Do(ctx, http.MethodPost, "/api/v1/billing/payments", map[string]any{"orderId": orderID, "paymentMethod": method})
}

// WaitOrder waits until an order has the status.
func (s *Shop) WaitOrder(ctx context.Context, orderID, status string) (*Answer, error) {
	var last *Answer
	err := Eventually(ctx, 30*time.Second, func() (bool, error) {
		answer, err := s.Must(ctx, http.MethodGet, "/api/v1/orders/"+orderID, nil)
		if err != nil {
			return false, err
		}
		last = answer
		return answer.String("order", "status") == status, nil
	})
	if err != nil && last != nil {
		return last, fmt.Errorf("order %s is %s, not %s: %w", orderID, last.String("order", "status"), status, err)
	}
	return last, err
}

// Stock returns on hand, reserved and available of a product, as an administrator.
func (s *Shop) Stock(ctx context.Context, productID string) (onHand, reserved, available int64, err error) {
	answer, err := s.Must(ctx, http.MethodGet, "/api/v1/products/"+productID, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	return answer.Int("product", "stock", "onHand"), answer.Int("product", "stock", "reserved"), answer.Int("product", "stock", "available"), nil
}
