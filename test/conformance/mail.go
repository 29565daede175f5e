package conformance

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/commercestack/commercestack/test/shop"
)

var mailCases = []Case{
	{
		Trap: 25, Name: "one-sale-one-mail", Needs: Needs{Admin: true, Development: true, Faults: true}, Run: oneMail,
		Rule: "A sale whose news come four times is confirmed by one mail.",
	},
}

func oneMail(ctx context.Context, s *Session) error {
	if err := s.Stripe.Set(ctx, map[string]any{"webhooks": map[string]any{"duplicates": 3}}); err != nil {
		return err
	}
	product, err := s.product(ctx, "mailed", 1250, 10)
	if err != nil {
		return err
	}
	email := shop.NewEmail()
	b, err := s.buyWith(ctx, map[string]any{"items": items(line{product, 1}), "email": email})
	if err != nil {
		return err
	}
	if _, err := b.paid(ctx); err != nil {
		return err
	}
	count := func() (int, error) {
		subjects, err := s.Guest.Subjects(ctx, email)
		n := 0
		for _, subject := range subjects {
			if strings.Contains(subject, b.Order.String("order", "number")) || strings.Contains(strings.ToLower(subject), "confirmed") {
				n++
			}
		}
		return n, err
	}
	err = eventually(ctx, 30*time.Second, func() error {
		n, err := count()
		if err == nil && n == 0 {
			err = fmt.Errorf("no confirmation for %s", email)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := s.Stripe.delivered(ctx); err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // a second mail would come now
	n, err := count()
	if err == nil && n != 1 {
		err = fmt.Errorf("%d confirmations were mailed", n)
	}
	return err
}
