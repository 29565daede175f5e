package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/commercestack/commercestack/test/shop"
)

var numberCases = []Case{
	{
		Trap: 12, Name: "order-numbers-are-unique", Needs: Needs{Admin: true}, Run: orderNumbers,
		Rule: "Orders placed at once have numbers and ids of their own.",
	},
	{
		Trap: 12, Name: "invoice-numbers-have-no-gap", Needs: Needs{Admin: true, Books: true}, Run: invoiceNumbers,
		Rule: "Sales, declined cards and refunds at once leave a series of invoice numbers without gaps or twins.",
	},
}

func orderNumbers(ctx context.Context, s *Session) error {
	const orders = 48
	product, err := s.product(ctx, "numbered", 100, orders)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	numbers, ids := make(map[string]bool), make(map[string]bool)
	err = together(orders, func(int) error {
		b, err := s.buy(ctx, line{product, 1})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		numbers[b.Order.String("order", "number")], ids[b.ID] = true, true
		return nil
	})
	if err != nil {
		return err
	}
	if len(numbers) != orders || len(ids) != orders || numbers[""] {
		return fmt.Errorf("%d orders have %d numbers and %d ids", orders, len(numbers), len(ids))
	}
	return nil
}

func invoiceNumbers(ctx context.Context, s *Session) error {
	const sales = 10
	product, err := s.product(ctx, "invoiced", 300, sales)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	ours := make(map[string]bool)
	err = together(sales, func(i int) error {
		b, err := s.buy(ctx, line{product, 1})
		if err != nil {
			return err
		}
		if i%3 == 0 {
			if err := okay(b.pay(ctx, "pm_card_chargeDeclined")); err != nil {
				return err
			}
		}
		payment, err := b.paid(ctx)
		if err != nil {
			return err
		}
		credits := 0
		if err := s.documented(ctx, b.ID, 0); err != nil {
			return err
		}
		if i%2 == 0 {
			credits = 1
			if err := okay(s.refund(ctx, s.Admin, payment, 0)); err != nil {
				return err
			}
		}
		mu.Lock()
		ours[b.ID] = true
		mu.Unlock()
		return s.documented(ctx, b.ID, credits)
	})
	if err != nil {
		return err
	}
	return s.noGaps(ctx, ours)
}

// noGaps reads the newest documents back to the oldest of the given orders and
// wants each series to be complete.
func (s *Session) noGaps(ctx context.Context, orders map[string]bool) error {
	series := make(map[string]map[int]bool)
	token := ""
	for left := len(orders); left > 0; {
		page, err := s.Admin.Must(ctx, http.MethodGet, "/api/v1/billing/invoices"+shop.Query("all", "true", "pageSize", "100", "pageToken", token), nil)
		if err != nil {
			return err
		}
		for i := range page.Len("invoices") {
			number := page.String("invoices", i, "number")
			at := strings.LastIndexByte(number, '-')
			n, err := strconv.Atoi(number[at+1:])
			if err != nil {
				return fmt.Errorf("invoice number %q does not end in a number", number)
			}
			name := number[:max(at, 0)]
			if series[name] == nil {
				series[name] = make(map[int]bool)
			}
			if series[name][n] {
				return fmt.Errorf("invoice number %q was given twice", number)
			}
			series[name][n] = true
			if page.String("invoices", i, "kind") != "CREDIT_NOTE" && orders[page.String("invoices", i, "orderId")] {
				left--
			}
		}
		if token = page.String("nextPageToken"); token == "" {
			if left > 0 {
				return errors.New("the list of invoices does not hold all of them")
			}
			break
		}
	}
	return complete(series)
}

// complete wants the numbers of each series to follow each other.
func complete(series map[string]map[int]bool) error {
	for name, numbers := range series {
		low, high := -1, -1
		for n := range numbers {
			if low < 0 || n < low {
				low = n
			}
			high = max(high, n)
		}
		if high-low+1 != len(numbers) {
			return fmt.Errorf("series %s from %d to %d has %d documents", name, low, high, len(numbers))
		}
	}
	return nil
}
